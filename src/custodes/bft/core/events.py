"""What goes into `Replica.step` and what comes out of it: nothing else passes between the core and the world.

The core has no clock, no socket, no thread and no randomness. A driver (the simulator, the TCP process) feeds events
in one at a time with its own clock reading and carries the returned actions out in their order. A driver may lose,
delay, double or reorder messages, and send them before it carries out a `Deliver` of the same step, for nothing that
is sent depends on what is applied. It must not alter the order of `Deliver` actions nor invent the sender of a message:
`sender` is what the transport authenticated, never a field of the message.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, final

if TYPE_CHECKING:
    from custodes.bft.evidence import Proof
    from custodes.bft.messages import Block, Message, Qc


@final
class Timer(StrEnum):
    """The timers of a replica. Setting one replaces the one of the same kind: a driver holds at most one of each."""

    VIEW = "view"
    """The view lasts too long: first help its leader, then give it up."""
    PROPOSE = "propose"
    """The leader has waited long enough for columns, or for something to propose."""
    FETCH = "fetch"
    """An answer with missing blocks is overdue: ask another replica."""
    COLUMNS = "columns"
    """Send own undecided columns again and forward those held for long."""


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class Root:
    """The block that the application applied last: the replica trusts it and delivers what comes after it."""

    block: bytes
    """Identifier, 32 bytes."""
    height: int
    """Height, 0 for genesis."""
    view: int
    """View, 0 for genesis."""


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class Start:
    """The first event of a replica's life, also after a restart; any other event before it is ignored."""

    applied: Root | None = None
    """What the application applied last, as it kept it in its own durable state; None is genesis."""


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class Received:
    """A decoded message has arrived."""

    sender: int
    """Index of the replica that the transport authenticated, 0 to n - 1."""
    message: Message | Proof
    """The message; nothing in it has been checked but its form."""


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class TimerFired:
    """A timer that the replica set has run out; stale ones are recognised by their view and ignored."""

    kind: Timer
    """Which timer."""
    view: int
    """The view that the timer was set for, as in its SetTimer."""


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class Submit:
    """The local agent hands something to the application of its replica (`InclusionDuty`: its votes on a batch)."""

    work: Any
    """What `Application.submit` takes."""


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class Send:
    """Send a message to one replica, never to oneself."""

    to: int
    """Index of the receiver, 0 to n - 1."""
    message: Message | Proof
    """What to send."""


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class Broadcast:
    """Send a message to every other replica; the replica has already handled its own copy."""

    message: Message | Proof
    """What to send."""


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class SetTimer:
    """Feed a TimerFired with the same kind and view after the delay; replaces a timer of that kind that still runs."""

    kind: Timer
    """Which timer."""
    view: int
    """To be given back in TimerFired."""
    delay: float
    """Seconds from now, > 0."""


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class Deliver:
    """A block is committed. Blocks come in the order of their heights, each exactly once after `Start.applied`."""

    block: Block
    """The committed block."""
    descendants: tuple[Block, ...]
    """The header chain of its decision certificate: its child, that one's child, ...; the last two of (block,
    descendants) have consecutive views, and each block but the first carries the certificate of the one before it."""
    qc: Qc
    """The certificate of the last descendant: with the certificate that this one carries, the two consecutive ones."""


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class Report:
    """A proof, checked by this replica, that a key signed what an honest replica never signs; to be kept and shown."""

    proof: Proof
    """What the culprit signed."""


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class Refused:
    """A message was refused for a reason that no honest sender gives; a transport may count these and cut peers off."""

    sender: int
    """Index of the replica that sent it."""
    reason: str
    """What was wrong, a few words."""


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class Sync:
    """Call `SafetyRules.sync`, then feed `Synced`; other events may come between. Only if `ReplicaConfig.deferred`."""


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class Synced:
    """`SafetyRules.sync` has returned: what was written down before it may be signed and sent."""


Event = Start | Received | TimerFired | Submit | Synced
Action = Send | Broadcast | SetTimer | Deliver | Report | Refused | Sync
