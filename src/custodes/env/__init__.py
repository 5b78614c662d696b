"""custodes.env."""
