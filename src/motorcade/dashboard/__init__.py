"""The window: the page that people watch their vehicles through, as files to serve."""
