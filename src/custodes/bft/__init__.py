"""custodes.bft."""
