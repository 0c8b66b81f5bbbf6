"""Compare HomeIQ's replica with Home Assistant's own influxdb integration: speed, cost, and what an outage costs."""
