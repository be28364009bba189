"""OpenTelemetry traces of commands and sampled records, drawn from the log. Off by default."""
