"""A trained team at work on events as they come (docs/serving.md)."""

from custodes.data.features.online import Limits
from custodes.serve.decision import Decision
from custodes.serve.team import Team

__all__ = ["Decision", "Limits", "Team"]
