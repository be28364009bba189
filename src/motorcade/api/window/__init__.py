"""What the page is served by, and asks: `docs/protocols/dashboard.md`."""
