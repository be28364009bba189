"""The Fleet Telemetry door: WebSockets over mutual TLS, one record per message."""
