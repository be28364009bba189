"""The platform's processes, a module for each: engines made and put together, by the road.

Beside `app.py`, which chooses one of them, the only importers of engines. To put another engine
behind a port, change the line here that constructs it.
"""
