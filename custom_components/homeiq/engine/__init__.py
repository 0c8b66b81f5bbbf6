"""Hold HomeIQ's engine: a library that knows nothing of Home Assistant.

Home Assistant loads it as ``custom_components.homeiq.engine``; child processes and engine tests load the same files as
the top-level package ``homeiq_engine`` (see ``load.py``), so everything in here uses relative imports only.
"""
