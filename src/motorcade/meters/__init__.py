"""What sites' meters have shown and cars' diagnostics told, kept longer than the log."""
