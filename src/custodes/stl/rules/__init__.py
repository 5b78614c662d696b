"""Shipped rules for defenders."""

from custodes.stl.rules.library import library_names, library_text, load_library

__all__ = ["library_names", "library_text", "load_library"]
