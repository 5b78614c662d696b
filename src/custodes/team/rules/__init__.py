"""Rules that a team learns and is scored under: what they may speak of, how they are judged, what they cost."""
