"""Replicas as processes: mutually authenticated TCP, durable state, metrics. Needs the extra `custodes[cluster]`."""
