"""Test the replica against a real influxd."""
