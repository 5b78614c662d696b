"""The safety module: the only place where a replica signs, and the log that makes its signatures stick."""

from custodes.bft.safety.log import Log
from custodes.bft.safety.safety import Refused, SafetyRules, Ticket
from custodes.bft.safety.state import SafetyState

__all__ = ["Log", "Refused", "SafetyRules", "SafetyState", "Ticket"]
