"""Bring back what can be read of a store that was set aside, in the background, and say exactly what was saved."""
