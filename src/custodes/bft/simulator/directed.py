"""Scenarios written by hand: what must work by itself, and what seeds find too rarely."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final, final

from custodes.bft import statements
from custodes.bft.messages import Proposal, Status, Timeout, Vote
from custodes.bft.simulator.crafting import Crafter
from custodes.bft.simulator.keys import make_keys
from custodes.bft.simulator.scenario import Crash, Scenario, Style, Weather, liveness_bound
from custodes.bft.simulator.world import MOST_HELD, World
from custodes.bft.votes import tolerated

CALM: Final = Weather(delay=0.5, loss=0.0, duplication=0.0, replay=0.0, partitions=())
"""A network that only takes its time."""
Result = tuple[str, str]
"""The rule that broke, and what happened; two empty strings when all holds."""
_HOLDS: Final = ("", "")
_BAITS: Final = 60


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class DirectedScenario:
    """One of them."""

    n: int
    """Replicas."""
    what: str
    """What happens in it, one line."""
    play: Callable[[], Result]
    """Play it."""


def calm(n: int, *liars: int, style: Style | None = None, crashes: tuple[Crash, ...] = ()) -> Scenario:
    """A run on a calm network that heals at time 40.

    Args:
        n: Replicas.
        *liars: Who lies.
        style: How; in silence when not given.
        crashes: Restarts.
    """
    return Scenario(
        n=n,
        seed=0,
        length="long",
        liars=liars,
        heal=40.0,
        weather=CALM,
        crashes=crashes,
        style=Style(silent=1.0) if style is None else style,
        batches=2,
    )


def verdict(world: World, *, commits: int = 1) -> Result:
    """Play a world, in which at least so many blocks must be committed and all batches decided."""
    outcome = world.run()
    if outcome.violations:
        return outcome.violations[0].rule, outcome.violations[0].what
    if outcome.late:
        return "liveness", f"replicas {list(outcome.late)} committed nothing new in time"
    if outcome.commits < commits:
        return "liveness", f"only {outcome.commits} blocks were committed, not {commits}"
    if world.judge.decided < world.scenario.batches:
        return "liveness", f"only {world.judge.decided} batches were decided"
    return _HOLDS


def _silent(n: int, *liars: int) -> Callable[[], Result]:
    return lambda: verdict(World(calm(n, *liars)), commits=4)


def _all_restart() -> Result:
    """Every replica restarts at one instant, twice; what they voted for is in their logs and nowhere else."""
    crashes = tuple(
        Crash(at=at, back=at + 1.0, replica=replica, tear=0.0) for at in (10.0, 20.0) for replica in range(4)
    )
    return verdict(World(calm(4, crashes=crashes)), commits=6)


def _torn_logs() -> Result:
    """Replicas restart one after the other, every two units, each time without what was not durable."""
    crashes = tuple(Crash(at=2.0 * turn, back=2.0 * turn + 0.1, replica=turn % 4, tear=0.0) for turn in range(1, 16))
    return verdict(World(calm(4, crashes=crashes)))


def _other_chain() -> Result:
    """A liar that is a member of two chains brings all that was signed on the other one."""
    other = World(calm(4), chain="elsewhere", listen=True)
    other.run()
    world = World(calm(4, 1, style=Style(lie=0.5, stale=0.5)))
    assert world.adversary is not None
    heard = other.heard or []
    for message in heard:
        world.adversary.knowledge.learn(message)
    tops = [message.high_qc for message in heard if isinstance(message, Timeout | Status)]
    tops += [message.block.qc for message in heard if isinstance(message, Proposal)]
    top = max(tops, key=lambda qc: qc.view)
    for receiver in (0, 2, 3):
        world.inject(5.0, 1, receiver, Status(high_qc=top, tc=None))
        for message in heard:
            if isinstance(message, Vote | Proposal) and _signer(message) == 1:
                world.inject(4.0, 1, receiver, message)
    return verdict(world)


def _signer(message: Vote | Proposal) -> int:
    return message.voter if isinstance(message, Vote) else message.block.proposer


def _flood() -> Result:
    """A liar sends votes and timeouts for 4,000 views, all signed, none of use: nobody may keep them."""
    world = World(calm(4, 1))
    keys = make_keys(4, real=False)
    crafter = Crafter(keys.team, {1: keys.signers[1]})
    genesis = statements.genesis_qc(keys.team)
    for view in range(1, 4001):
        timeout = crafter.timeout(1, view, genesis, None)
        signature = keys.signers[1].sign(statements.vote_statement(keys.team, view, bytes(32), view - 1, -1))
        vote = Vote(view=view, block=bytes(32), qc_view=view - 1, tc_high=-1, voter=1, signature=signature)
        world.inject(3.0, 1, 0, timeout)
        world.inject(3.0, 1, 0, vote)
    result = verdict(world)
    if result != _HOLDS:
        return result
    replica = world.nodes[0].replica
    assert replica is not None
    held = sum(replica.sizes().values())
    return _HOLDS if held <= MOST_HELD else ("bounded", f"replica 0 holds {held} entries after a flood")


def _within_bound() -> Result:
    """From the longest timers on, with a liar that lets nobody but one into the next view, all is well in time."""
    style = Style(equivocate=1.0, hoard=1.0, withhold=0.7, lie=1.0, stale=1.0, double_vote=1.0)
    outcome = World(calm(4, 2, style=style)).run()
    if outcome.violations:
        return outcome.violations[0].rule, outcome.violations[0].what
    if outcome.late or outcome.healed_in > liveness_bound(4, 1):
        return "liveness", f"replicas {list(outcome.late)} committed nothing new in time"
    return _HOLDS


def _baits(n: int) -> Callable[[], Result]:
    """Liars who lead every other view let one replica commit, cut it off, and offer the others an older branch."""

    def play() -> Result:
        for seed in range(_BAITS):
            rng = random.Random(f"bait/{n}/{seed}")
            liars = tuple(range(tolerated(n)))
            leaders = tuple(rng.choice(liars) if rng.random() < 0.6 else rng.randrange(n) for _ in range(60))
            style = Style(bait=0.7, stale=1.0, lie=1.0, hoard=0.5)
            scenario = replace(calm(n, *liars, style=style), seed=seed, length="short", leaders=leaders, heal=70.0)
            outcome = World(scenario).run()
            if outcome.violations:
                return outcome.violations[0].rule, f"play {seed}: {outcome.violations[0].what}"
        return _HOLDS

    return play


DIRECTED: Final = {
    "silent-4": DirectedScenario(n=4, what="one of four is silent for ever", play=_silent(4, 1)),
    "silent-7-spread": DirectedScenario(n=7, what="two of seven are silent, apart", play=_silent(7, 1, 4)),
    "silent-7-adjacent": DirectedScenario(n=7, what="two of seven are silent, in turn", play=_silent(7, 2, 3)),
    "all-restart": DirectedScenario(n=4, what="all restart at one instant, twice", play=_all_restart),
    "torn-logs": DirectedScenario(n=4, what="restarts one after the other, without the last records", play=_torn_logs),
    "other-chain": DirectedScenario(n=4, what="everything signed on another chain is replayed", play=_other_chain),
    "flood": DirectedScenario(n=4, what="8,000 signed messages of no use", play=_flood),
    "bait-4": DirectedScenario(n=4, what="one replica is let commit and cut off, 60 plays", play=_baits(4)),
    "bait-7": DirectedScenario(n=7, what="the same with seven", play=_baits(7)),
    "selective": DirectedScenario(n=4, what="a liar shows its certificates to few", play=_within_bound),
}
"""By name."""
