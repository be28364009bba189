"""People who sign in, apps, and what people granted to apps. `port.py` has the promises."""
