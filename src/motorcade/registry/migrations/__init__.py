"""The history of the registry's tables. To change a table: edit `../tables.py`, add a revision in
`versions/` beside the last one, set `../migrate.py`'s `HEAD`; a test compares the three.
"""
