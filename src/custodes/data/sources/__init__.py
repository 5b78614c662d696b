"""custodes.data.sources."""
