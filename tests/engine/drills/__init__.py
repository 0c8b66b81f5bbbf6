"""Drill what happens to a home: power cuts, clocks that jump, servers that go away."""
