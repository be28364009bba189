"""Copies of a whole data directory: made beside a running server, checked, and brought back."""
