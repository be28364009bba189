"""Who did what by the page and the API, for admins to read."""
