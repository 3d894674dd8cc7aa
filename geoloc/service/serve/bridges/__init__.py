"""Bridges: a live service's other ways in and out, over a broker or to an address. Each is a `Bridge`."""
