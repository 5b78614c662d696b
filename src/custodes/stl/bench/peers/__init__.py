"""Programs that run in a peer's own environment, by path: they import nothing of custodes (but for its own adapter)."""
