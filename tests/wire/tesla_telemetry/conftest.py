"""Hypothesis without a deadline: no timing asserts, machines are shared."""

from hypothesis import settings

settings.register_profile("motorcade", deadline=None)
settings.load_profile("motorcade")
