"""Settings of all tests."""

from hypothesis import settings

# The same examples on every machine, and no limit on time: a slow machine is not a bug.
settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.load_profile("repeatable")
