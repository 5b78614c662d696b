"""The shield: replaces a voted action that would violate a hard rule, alike wherever the votes are counted."""

from custodes.team.shield.rules import Rules, read_rules
from custodes.team.shield.shield import Shield, ShieldConfig
from custodes.team.shield.state import ShieldState
from custodes.team.shield.verdicts import Judgement, Voted

__all__ = ["Judgement", "Rules", "Shield", "ShieldConfig", "ShieldState", "Voted", "read_rules"]
