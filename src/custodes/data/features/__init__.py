"""Causal inputs from an event table."""

from custodes.data.features.encoder import DEFAULT_GROUPS, GROUPS, LIMIT, NAMED, Column, Encoder

__all__ = ["DEFAULT_GROUPS", "GROUPS", "LIMIT", "NAMED", "Column", "Encoder"]
