"""What energy sites' meters have shown, kept longer than the log: the past behind the API."""
