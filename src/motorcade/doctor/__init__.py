"""`motorcade doctor`: walks what must hold for a platform to serve, names the broken link."""
