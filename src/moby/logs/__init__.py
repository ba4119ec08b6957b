"""Container logs: drivers, framing, reading."""
