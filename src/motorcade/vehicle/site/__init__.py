"""The program of an energy site: a house with sun, batteries, a car's charger and a grid.

`model.py` is the physics, in columns; `home.py` makes of one row a machine that the agent of
`vehicle/agent.py` runs, with settings and meters that outlive it.
"""
