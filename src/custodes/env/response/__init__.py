"""Response: actions that intervene on recorded events, what they cost, and an honest replay (docs/response.md)."""
