"""What one simulated run consists of, drawn from its seed and from nothing else."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from typing import Final, Literal, final

from custodes.bft.votes import tolerated

DELTA: Final = 1.0
"""Longest message delay after the heal; the unit of simulated time."""
TIMEOUT: Final = 8.0
"""Shortest time of a view, in units of `DELTA`."""
BACKOFF: Final = 2
"""A view lasts at most TIMEOUT * 2 ** BACKOFF."""

Length = Literal["short", "long"]


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class Partition:
    """A time in which the network is split in two."""

    begin: float
    """Time, units."""
    end: float
    """Time, units."""
    side: frozenset[int]
    """Replicas on one side; the others are on the other side. Membership is asked only, it is never iterated."""


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class Crash:
    """A replica loses its memory and whatever its log had not made durable."""

    at: float
    """Time, units."""
    back: float
    """Time of the restart, units."""
    replica: int
    """Index."""
    tear: float
    """Share (0 to 1) of the records that were not durable and are on the disk all the same."""


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class Weather:
    """What the network does until the heal."""

    delay: float
    """Longest delay, units; drawn anew for each message, so that messages overtake each other."""
    loss: float
    """Share of messages lost, 0 to 1."""
    duplication: float
    """Share of messages that arrive twice, 0 to 1."""
    replay: float
    """Latest second arrival after the first, units."""
    partitions: tuple[Partition, ...]
    """Splits, in any order, possibly overlapping."""


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class Style:
    """How the liars behave: shares (0 to 1) with which each trick is used when there is an occasion for it."""

    silent: float = 0.0
    """Does nothing at all in a view."""
    equivocate: float = 0.0
    """Leads with two or three blocks, each for some of the replicas."""
    stale: float = 0.0
    """Extends an old certificate, with the timeout certificate that suits it best."""
    withhold: float = 0.0
    """Keeps a proposal, a vote or a block from some replicas."""
    double_vote: float = 0.0
    """Votes for every block of a view."""
    lie: float = 0.0
    """Signs timeouts with an old certificate, and several for one view."""
    forge: float = 0.0
    """Sends certificates with repeated, foreign or too few signers, and messages in others' names."""
    replay: float = 0.0
    """Sends old messages again."""
    wrong: float = 0.0
    """Puts payloads in its blocks that do not follow from the votes."""
    censor: float = 0.0
    """Leaves columns out of its blocks."""
    hoard: float = 0.0
    """Completes certificates with its own votes in secret and shows them to few."""
    bait: float = 0.0
    """Lets one replica alone complete a certificate, cuts it off from the others, and goes on without it. Not drawn
    for seeds: a scenario made by hand does it."""


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class Scenario:
    """One run of n replicas, `byzantine` of them liars."""

    n: int
    """Replicas, at least 4."""
    seed: int
    """Everything that is drawn while it runs follows from it too."""
    length: Length
    """`short`: some eight views, safety only; `long`: then the network heals and every replica must commit in time."""
    liars: tuple[int, ...]
    """Indices of Byzantine replicas, ascending."""
    heal: float
    """Time after which no message is lost and none takes longer than `DELTA`; the end of a short run."""
    weather: Weather
    """The network until then."""
    crashes: tuple[Crash, ...]
    """Restarts of honest replicas, all before the heal."""
    style: Style
    """What the liars do."""
    batches: int
    """Batches that the agents vote on."""
    leaders: tuple[int, ...] = ()
    """Who leads views 1, 2, ...; views beyond are led in turn. Only short runs have it: the bound is for turns."""
    deferred: bool = False
    """Replicas make records durable outside their steps, while other events happen."""
    real: bool = False
    """Sign with Ed25519 instead of keyed hashes."""

    @property
    def f(self) -> int:
        """Liars that the protocol stands."""
        return tolerated(self.n)


def liveness_bound(n: int, f: int, *, delta: float = DELTA, timeout: float = TIMEOUT, backoff: int = BACKOFF) -> float:
    """How long after the heal every honest replica has committed a block that was proposed after it.

    (2f + 4) T + 4 (n + 3) delta, with T = timeout * 2 ** backoff the longest view: one T until the longest timer that
    ran at the heal has fired, one until every replica has joined the others' view, one for a replica that had entered
    it alone, one for a proposal that an honest replica refuses because it leaves out a column whose forwarding was lost
    before the heal; each of f liars spoils the view that it leads and, by showing its certificate to a single replica
    early, the next; and at most n + 3 views, four delays each (proposal, votes, as much again for fetching), pass until
    three leaders in a row are honest, which some f liars among n >= 3f + 1 cannot prevent. Derived, with every step, in
    docs/bft-simulation.md.

    Args:
        n: Replicas.
        f: Liars.
        delta: Longest message delay, seconds.
        timeout: Shortest view, seconds.
        backoff: Doublings of it.

    Returns:
        The bound, in the unit of `delta`.
    """
    return (2 * f + 4) * timeout * 2.0**backoff + 4 * (n + 3) * delta


def draw(n: int, seed: int, length: Length, *, byzantine: int | None = None, real: bool = False) -> Scenario:
    """The scenario of a seed.

    Args:
        n: Replicas.
        seed: Any integer.
        length: Short or long.
        byzantine: Number of liars; f when not given.
        real: Whether to sign with Ed25519.

    Returns:
        The scenario; the same for the same arguments on every machine.
    """
    rng = random.Random(f"custodes/{n}/{length}/{byzantine}/{seed}")
    count = tolerated(n) if byzantine is None else byzantine
    liars = tuple(sorted(rng.sample(range(n), count)))
    heal = rng.uniform(28.0, 44.0) if length == "short" else rng.uniform(40.0, 110.0)
    honest = [index for index in range(n) if index not in liars]
    return Scenario(
        n=n,
        seed=seed,
        length=length,
        liars=liars,
        heal=heal,
        weather=_weather(rng, n, heal),
        crashes=_crashes(rng, honest, heal),
        style=_style(rng) if count <= tolerated(n) else _daring(rng),
        batches=rng.randrange(1, 4),
        leaders=_leaders(rng, liars, honest) if length == "short" else (),
        deferred=rng.random() < 0.3,
        real=real,
    )


def _leaders(rng: random.Random, liars: tuple[int, ...], honest: list[int]) -> tuple[int, ...]:
    """In half of the runs the liars lead every other view: safety must hold whoever leads."""
    if not liars or rng.random() < 0.5:
        return ()
    return tuple(rng.choice(liars if rng.random() < 0.5 else honest) for _ in range(_TABLE))


def _weather(rng: random.Random, n: int, heal: float) -> Weather:
    partitions = []
    for _ in range(rng.choice((0, 0, 1, 1, 2))):
        begin = rng.uniform(0.0, heal * 0.8)
        side = frozenset(index for index in range(n) if rng.random() < 0.5)
        partitions.append(Partition(begin=begin, end=begin + rng.uniform(2.0, heal * 0.4), side=side))
    return Weather(
        delay=rng.choice((0.5, 1.0, 2.0, 4.0)),
        loss=rng.choice((0.0, 0.0, 0.02, 0.1, 0.25)),
        duplication=rng.choice((0.0, 0.0, 0.05, 0.2)),
        replay=rng.uniform(0.0, 15.0),
        partitions=tuple(partitions),
    )


def _crashes(rng: random.Random, honest: list[int], heal: float) -> tuple[Crash, ...]:
    """Mostly none; sometimes one replica, sometimes every honest one at the same time."""
    kind = rng.random()
    if kind < 0.5:
        return ()
    if kind < 0.85:
        return tuple(
            _crash(rng, rng.choice(honest), heal, rng.uniform(1.0, heal * 0.8)) for _ in range(rng.choice((1, 2)))
        )
    at = rng.uniform(1.0, heal * 0.8)
    return tuple(_crash(rng, replica, heal, at + rng.uniform(0.0, 0.5)) for replica in honest)


def _crash(rng: random.Random, replica: int, heal: float, at: float) -> Crash:
    back = min(heal, at + rng.choice((0.0, 0.2, 2.0, 10.0)))
    return Crash(at=at, back=back, replica=replica, tear=rng.random())


_TABLE: Final = 40
"""Views with drawn leaders."""
_TRICKS: Final = (
    "silent",
    "equivocate",
    "stale",
    "withhold",
    "double_vote",
    "lie",
    "forge",
    "replay",
    "wrong",
    "censor",
    "hoard",
)
_STRONG: Final = frozenset({"equivocate", "stale", "double_vote", "lie", "hoard", "withhold"})
"""Tricks that can break safety together: used more often than those that are refused at once."""


def _daring(rng: random.Random) -> Style:
    """Liars who are too many to be stood: they split the honest ones whenever they can."""
    return replace(_style(rng), equivocate=1.0, double_vote=1.0, hoard=0.0, silent=0.0, withhold=0.0, lie=0.3)


def _style(rng: random.Random) -> Style:
    shares = {}
    for name in _TRICKS:
        chance = 0.6 if name in _STRONG else 0.25
        shares[name] = rng.choice((0.3, 0.7, 1.0)) if rng.random() < chance else 0.0
    shares["silent"] = rng.choice((0.0, 0.3, 0.3, 0.6, 1.0)) if rng.random() < 0.4 else 0.0
    return Style(**shares)
