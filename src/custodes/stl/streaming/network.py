"""The records that a monitor's network is made of: steps, the values that they give, and the whole plan."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from custodes.stl import formula as f

Kind: TypeAlias = Literal[
    "signal", "number", "negate", "absolute", "arithmetic", "difference", "apart", "count", "divide", "sum",
    "both", "delay", "window", "running", "since", "until", "rank", "guard", "edge", "open", "open_until",
]  # fmt: skip
Extremum: TypeAlias = Literal["min", "max"]
INF: Final = float("inf")
NEUTRAL: Final[dict[str, float]] = {"min": INF, "max": -INF}
"""What an empty minimum or maximum is."""
LARGEST: Final = 10_000_000
"""Longest window or delay that a monitor keeps, samples."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    """One step of the network: its result goes to the slot of its place in the plan."""

    kind: Kind
    """What it does."""
    args: tuple[int, ...] = ()
    """Slots that it reads."""
    which: str = ""
    """min or max, or the operator of an arithmetic step."""
    size: int = 0
    """Window, delay or (guard, edge) the delay of what it reads, samples."""
    need: int = 0
    """rank: how many."""
    value: float = 0.0
    """number: the constant; delay, guard, edge: what fills the place of a missing sample."""
    name: str = ""
    """signal: its name."""
    weak: bool = False
    """open_until: whether the guard alone is enough where nothing follows."""
    past: bool = False
    """delay, window: belongs to an operator of the past, so that a stream that starts anew must forget it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Value:
    """A slot and how late it is."""

    slot: int
    """Place in the plan."""
    delay: int
    """At sample s it holds the value at time s - delay."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Known:
    """The first sample's value, taken when it comes out of the network."""

    value: Value
    """Where it comes out."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Fold:
    """always or eventually at the first sample: the extremum so far of what its operand emitted."""

    which: Extremum
    """min or max."""
    value: Value
    """The operand."""
    first: int
    """First time that counts."""
    last: int | None
    """Last time that counts; None never ends."""
    inner: int = -1
    """Slot of the one value inside the operand that no sample settles; -1 when there is none or more than one."""
    rest: float = 0.0
    """What that value is made from where nothing follows: -inf or inf."""
    numbers: tuple[int, ...] = ()
    """Slots of the signals and computed terms inside the operand, which may be unknown; empty without `inner`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Clamp:
    """until at the first sample: the clamp z -> most(goal, least(guard, z)) of the times so far; z is what follows."""

    most: Extremum
    """max; min for the dual."""
    guard: Value
    """Left operand."""
    goal: Value
    """Right operand, equally late."""
    first: int
    """First time that the goal counts at."""
    last: int | None
    """Last time that counts; None never ends."""
    weak: bool
    """Whether the guard alone is enough."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Join:
    """A boolean connective of two."""

    which: Extremum
    """min or max."""
    left: Anchor
    """Left operand."""
    right: Anchor
    """Right operand."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Meet:
    """The tighter of two views of one value."""

    left: Anchor
    """One."""
    right: Anchor
    """Other."""


Anchor: TypeAlias = Known | Fold | Clamp | Join | Meet


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """All that a monitor runs."""

    steps: tuple[Step, ...]
    """In order of evaluation."""
    root: Value
    """The formula's own value."""
    anchor: Anchor
    """How the value at the first sample is followed from the start."""
    signals: tuple[str, ...]
    """Names of the signals that are read, sorted."""
    bounded: bool
    """Whether every window ahead ends."""
    pairs: bool
    """Whether a value can be unknown even when every sample is there, so that both bounds are kept."""
    reach: int
    """So many unknown samples after the last one make every bounded value constant."""


def dual(which: Extremum, flipped: bool) -> Extremum:
    """The other extremum under a negation."""
    if not flipped:
        return which
    return "max" if which == "min" else "min"


def only_now(node: f.Until | f.Release | f.Since) -> bool:
    """Whether the window is the present sample alone, so that the left operand plays no part."""
    return node.bounds.upper is not None and node.bounds.upper.amount == 0
