"""The actions of one step, collected in order."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

from custodes.bft.core.events import Action, Broadcast, Refused, Send, SetTimer, Timer

if TYPE_CHECKING:
    from custodes.bft.evidence import Proof
    from custodes.bft.messages import Message


@final
class Outbox:
    """Actions of the current step and how many messages each peer had refused so far."""

    __slots__ = ("_actions", "_index", "refused")

    def __init__(self, index: int, n: int) -> None:
        self._index = index
        self._actions: list[Action] = []
        self.refused = [0] * n

    def take(self) -> list[Action]:
        """Returns what was collected and starts afresh."""
        actions, self._actions = self._actions, []
        return actions

    def add(self, action: Action) -> None:
        """Appends any action."""
        self._actions.append(action)

    def extend(self, actions: list[Action]) -> None:
        """Appends what an application returned, and counts the refusals in it."""
        for action in actions:
            if isinstance(action, Refused):
                self.refused[action.sender] += 1
        self._actions.extend(actions)

    def send(self, to: int, message: Message) -> None:
        """Sends a message, unless it would be to oneself."""
        if to != self._index:
            self._actions.append(Send(to=to, message=message))

    def broadcast(self, message: Message) -> None:
        """Sends a message to all others."""
        self._actions.append(Broadcast(message=message))

    def gossip(self, proof: Proof) -> None:
        """Passes a proof on to all others."""
        self._actions.append(Broadcast(message=proof))

    def timer(self, kind: Timer, view: int, delay: float) -> None:
        """Sets a timer."""
        self._actions.append(SetTimer(kind=kind, view=view, delay=delay))

    def refuse(self, sender: int, reason: str) -> None:
        """Notes that no honest sender sends what this one sent."""
        self.refused[sender] += 1
        self._actions.append(Refused(sender=sender, reason=reason))
