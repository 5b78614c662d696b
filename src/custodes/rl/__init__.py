"""custodes.rl."""
