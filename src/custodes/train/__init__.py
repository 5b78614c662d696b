"""custodes.train."""
