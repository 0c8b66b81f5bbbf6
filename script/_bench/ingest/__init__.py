"""Compare what taking events in costs: bare Home Assistant, with its recorder, with HomeIQ."""
