"""Configure all tests.

The engine's tests run without Home Assistant, so nothing of it is imported here; ``tests/ha/conftest.py`` does that.
"""
