"""custodes.evaluate."""
