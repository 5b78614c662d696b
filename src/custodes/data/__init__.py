"""custodes.data."""
