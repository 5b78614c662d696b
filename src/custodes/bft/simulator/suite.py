"""The suite: which scenarios are played, over how many processes, and what came of it."""

from __future__ import annotations

import gc
import multiprocessing
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final, final

from custodes.bft.simulator import twins
from custodes.bft.simulator.accountability import Prosecutor
from custodes.bft.simulator.scenario import Length, draw, liveness_bound
from custodes.bft.simulator.world import Outcome, World
from custodes.bft.votes import tolerated

CHUNK: Final = 100
"""Seeds of one task."""
TWICE: Final = 100
"""One seed in so many is played twice, and must go the same way."""
REAL: Final = 100
"""One seed in so many is played with Ed25519."""


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class Fuzz:
    """Random scenarios of consecutive seeds."""

    n: int
    """Replicas."""
    length: Length
    """Short or long."""
    first: int
    """First seed."""
    count: int
    """Seeds."""
    byzantine: int | None = None
    """Liars; f when None."""


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class TwinsPart:
    """Twins scenarios with one beginning."""

    views: int
    """Views of each scenario."""
    part: tuple[int, int, int]
    """As `twins.parts_of`."""


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class Directed:
    """A scenario written by hand."""

    name: str
    """As in `directed.DIRECTED`."""


Task = Fuzz | TwinsPart | Directed


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class Failure:
    """A scenario in which a property does not hold."""

    n: int
    """Replicas."""
    seed: int | str
    """Seed, or name of a Twins or directed scenario."""
    rule: str
    """The invariant, or `liveness`."""
    what: str
    """One line."""
    replay: str
    """The command that shows it."""


@final
@dataclass(kw_only=True, slots=True)
class Tally:
    """Counts over scenarios."""

    scenarios: int = 0
    """Played."""
    safety_violations: int = 0
    """Scenarios in which an invariant other than liveness broke."""
    liveness_misses: int = 0
    """Scenarios in which a replica committed nothing within the bound."""
    failures: list[Failure] = field(default_factory=list)
    """All of them (of Twins: the first of each part)."""
    commits: int = 0
    """Blocks committed."""
    slowest: float = 0.0
    """Longest time from a heal to the last replica's commit, as a share of the bound."""
    twice: int = 0
    """Scenarios that were played twice."""
    real: int = 0
    """Scenarios with Ed25519."""
    parted: int = 0
    """With more than f liars: scenarios in which honest replicas committed different blocks."""
    proven: int = 0
    """Of those: in which at least f + 1 liars, and nobody else, were proven to have lied."""

    def add(self, other: Tally) -> None:
        """Add another's counts."""
        for name in (
            "scenarios",
            "safety_violations",
            "liveness_misses",
            "commits",
            "twice",
            "real",
            "parted",
            "proven",
        ):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.failures += other.failures
        self.slowest = max(self.slowest, other.slowest)


def play(task: Task) -> Tally:
    """Play one task."""
    if isinstance(task, Fuzz):
        return _fuzz(task)
    return _twins(task) if isinstance(task, TwinsPart) else _by_hand(task)


def play_all(tasks: Iterable[Task], workers: int, progress: Callable[[Task, Tally], None] | None = None) -> Tally:
    """Play tasks in several processes; the result does not depend on how many.

    Args:
        tasks: What to play.
        workers: Processes, at least 1.
        progress: Called after each task, in order.
    """
    total = Tally()
    todo = list(tasks)
    for task, tally in zip(todo, _results(todo, workers), strict=True):
        total.add(tally)
        if progress is not None:
            progress(task, tally)
    return total


def _results(tasks: list[Task], workers: int) -> Iterator[Tally]:
    if workers == 1 or len(tasks) == 1:
        yield from map(play, tasks)
        return
    with multiprocessing.get_context("spawn").Pool(workers, initializer=_seldom_collect) as pool:
        yield from pool.imap(play, tasks)


def _seldom_collect() -> None:
    """Look for unreachable cycles seldom: a scenario makes and drops many small objects, and few of them in cycles."""
    gc.set_threshold(100_000, 20, 50)


def gate() -> list[Task]:
    """Everything that must hold before a change is taken."""
    from custodes.bft.simulator.directed import DIRECTED

    return [
        *(Directed(name=name) for name in DIRECTED),
        *fuzz(4, "short", 0, 20_000),
        *fuzz(4, "long", 0, 5_000),
        *fuzz(7, "long", 0, 2_000),
        *(TwinsPart(views=views, part=part) for views in (3, 4) for part in twins.parts_of(views)),
    ]


def control() -> list[Task]:
    """One liar too many: honest replicas must part in some runs, and f + 1 liars be proven guilty in each of them."""
    return fuzz(4, "short", 0, 1000, byzantine=2)


def fuzz(n: int, length: Length, first: int, count: int, byzantine: int | None = None) -> list[Task]:
    """Consecutive seeds as tasks."""
    return [
        Fuzz(n=n, length=length, first=at, count=min(CHUNK, first + count - at), byzantine=byzantine)
        for at in range(first, first + count, CHUNK)
    ]


def replay_command(n: int, seed: int, length: Length, byzantine: int | None) -> str:
    """The command that plays a seed and shows what happens."""
    more = (" --long" if length == "long" else "") + (f" --byzantine {byzantine}" if byzantine is not None else "")
    return f"custodes bft simulate --seed {seed} --n {n}{more} --trace"


def _fuzz(task: Fuzz) -> Tally:
    tally = Tally()
    for seed in range(task.first, task.first + task.count):
        real = seed % REAL == REAL - 1
        scenario = draw(task.n, seed, task.length, byzantine=task.byzantine, real=real)
        twice = seed % TWICE == 0
        world = World(scenario, trace=twice)
        outcome = world.run()
        tally.scenarios += 1
        tally.real += real
        tally.commits += outcome.commits
        tally.slowest = max(tally.slowest, outcome.healed_in / liveness_bound(scenario.n, scenario.f))
        judge(task, world, outcome, tally)
        if twice:
            tally.twice += 1
            again = World(scenario, trace=True)
            again.run()
            if again.trace is not None and world.trace is not None and again.trace.digest() != world.trace.digest():
                _fail(tally, task, seed, "determinism", "two plays of the seed differ")
    return tally


def judge(task: Fuzz, world: World, outcome: Outcome, tally: Tally) -> None:
    """Count what a run broke; with more than f liars, see whom it convicts."""
    scenario = outcome.scenario
    if len(scenario.liars) > tolerated(scenario.n) and any(each.rule == "agreement" for each in outcome.violations):
        _accuse(task, world, outcome, tally)
    if outcome.violations:
        first = outcome.violations[0]
        _fail(tally, task, scenario.seed, first.rule, first.what)
    elif outcome.late:
        tally.liveness_misses += 1
        what = (
            f"replicas {list(outcome.late)} committed nothing new within {liveness_bound(scenario.n, scenario.f):.0f}"
        )
        tally.failures.append(_failure(task, scenario.seed, "liveness", what))


def _accuse(task: Fuzz, world: World, outcome: Outcome, tally: Tally) -> None:
    """More than f lied and the honest parted: the union of what they received must name f + 1 liars and nobody else."""
    prosecutor = Prosecutor(world.team, world.judge_crypto)
    prosecutor.hear(world.heard or ())
    culprits = set(prosecutor.culprits())
    liars = set(outcome.scenario.liars)
    tally.parted += 1
    if len(culprits) > outcome.scenario.f and culprits <= liars:
        tally.proven += 1
    else:
        what = f"proofs name {sorted(culprits)}, liars are {sorted(liars)}"
        _fail(tally, task, outcome.scenario.seed, "accountability", what)


def _fail(tally: Tally, task: Fuzz, seed: int, rule: str, what: str) -> None:
    tally.safety_violations += 1
    tally.failures.append(_failure(task, seed, rule, what))


def _failure(task: Fuzz, seed: int, rule: str, what: str) -> Failure:
    replay = replay_command(task.n, seed, task.length, task.byzantine)
    return Failure(n=task.n, seed=seed, rule=rule, what=what, replay=replay)


def _twins(task: TwinsPart) -> Tally:
    found = twins.explore(task.views, task.part)
    tally = Tally(scenarios=found.scenarios, safety_violations=found.failed, commits=found.committing)
    for each in found.failures:
        replay = f"custodes bft simulate --twins-case {each.name} --trace"
        tally.failures.append(Failure(n=4, seed=each.name, rule="agreement", what=each.what, replay=replay))
    return tally


def _by_hand(task: Directed) -> Tally:
    from custodes.bft.simulator.directed import DIRECTED

    rule, what = DIRECTED[task.name].play()
    tally = Tally(scenarios=1)
    if rule:
        tally.liveness_misses += rule == "liveness"
        tally.safety_violations += rule != "liveness"
        replay = f"custodes bft simulate --directed {task.name}"
        tally.failures.append(Failure(n=DIRECTED[task.name].n, seed=task.name, rule=rule, what=what, replay=replay))
    return tally


def summary(total: Tally, n: int | list[int], **more: Any) -> dict[str, Any]:
    """The counts as one JSON object."""
    sizes = [n] if isinstance(n, int) else n
    return {
        "n": n,
        "f": tolerated(n) if isinstance(n, int) else [tolerated(each) for each in sizes],
        "scenarios": total.scenarios,
        "safety_violations": total.safety_violations,
        "liveness_misses": total.liveness_misses,
        "seeds_failed": [failure.seed for failure in total.failures],
        "failures": [
            {"n": each.n, "seed": each.seed, "rule": each.rule, "what": each.what, "replay": each.replay}
            for each in total.failures
        ],
        "blocks_committed": total.commits,
        "played_twice": total.twice,
        "with_ed25519": total.real,
        "slowest_commit_of_bound": total.slowest,
        "parted": total.parted,
        "proven": total.proven,
        **more,
    }
