"""Measure HomeIQ; `script/bench` is the command, each folder here that holds a `bench.py` is a bench."""
