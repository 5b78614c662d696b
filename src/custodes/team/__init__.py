"""custodes.team."""
