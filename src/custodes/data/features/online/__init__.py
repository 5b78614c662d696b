"""The inputs of events as they come, one after the other, in memory that does not grow: equal to the encoder's."""

from custodes.data.features.online.encoder import OnlineEncoder
from custodes.data.features.online.memory import Limits

__all__ = ["Limits", "OnlineEncoder"]
