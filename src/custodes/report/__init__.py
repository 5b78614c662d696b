"""custodes.report."""
