"""`custodes bft simulate`: the protocol against faults and liars, from seeds that can be played again."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from custodes.cli.codes import DOES_NOT_HOLD
from custodes.cli.options import JsonOption
from custodes.errors import CustodesError

if TYPE_CHECKING:
    from custodes.bft.simulator.hunting import Kill
    from custodes.bft.simulator.suite import Tally, Task

LIST: Final = "list"
"""What `--mutant` and `--directed` take to list what there is."""
SHOWN: Final = 10
"""Failures listed for people; `--json` lists all."""
LARGEST: Final = 31
"""Replicas of the largest team that is simulated."""

NOption = Annotated[int | None, typer.Option("--n", metavar="N", help="Replicas, 4 to 31; 4 when not given.")]
SeedsOption = Annotated[int | None, typer.Option("--seeds", metavar="COUNT", help="Play so many seeds.")]
FirstOption = Annotated[int, typer.Option("--first-seed", metavar="S", help="First of them.")]
LongOption = Annotated[bool, typer.Option("--long", help="Until after the network heals: liveness, too.")]
SeedOption = Annotated[int | None, typer.Option("--seed", metavar="S", help="Play this seed only.")]
TraceOption = Annotated[bool, typer.Option("--trace", help="Print what happens, line by line, and a hash of it.")]
ByzantineOption = Annotated[
    int | None, typer.Option("--byzantine", metavar="K", help="Liars; f when not given. With more, expect to fail.")
]
MutantOption = Annotated[
    str | None, typer.Option("--mutant", metavar="NAME", help="Seed this defect and look for it; 'list' lists them.")
]
TwinsOption = Annotated[
    int | None, typer.Option("--twins", metavar="VIEWS", help="Every split and leader of so many views, 1 to 4.")
]
CaseOption = Annotated[
    str | None, typer.Option("--twins-case", metavar="CASE", help="Play this Twins scenario, such as 31.0-7.2-1.0.")
]
DirectedOption = Annotated[
    str | None, typer.Option("--directed", metavar="NAME", help="Play this scenario made by hand; 'list' lists them.")
]
WorkersOption = Annotated[int, typer.Option("--workers", metavar="W", help="Processes; the result is the same.")]


def simulate(
    n: NOption = None,
    seeds: SeedsOption = None,
    first_seed: FirstOption = 0,
    long: LongOption = False,
    seed: SeedOption = None,
    trace: TraceOption = False,
    byzantine: ByzantineOption = None,
    mutant: MutantOption = None,
    twins: TwinsOption = None,
    twins_case: CaseOption = None,
    directed: DirectedOption = None,
    workers: WorkersOption = 2,
    as_json: JsonOption = False,
) -> None:
    """Play the protocol against faults and liars. Exits 1 when a safety or liveness property fails.

    Without any of --seeds, --seed, --mutant, --twins, --directed: everything that must hold before a change is taken
    (ten minutes on two cores at most).
    """
    chosen = {"--seeds": seeds, "--seed": seed, "--mutant": mutant, "--twins": twins}
    chosen |= {"--twins-case": twins_case, "--directed": directed}
    _check(chosen, n, byzantine, workers)
    size = 4 if n is None else n
    if mutant is not None and seed is not None:
        _one_with(mutant, size, seed, long, byzantine, trace, as_json)
    elif mutant is not None:
        _mutant(mutant, as_json)
    elif directed is not None:
        _directed(directed, as_json)
    elif twins_case is not None:
        _twins_case(twins_case, as_json)
    elif seed is not None:
        _one(size, seed, long, byzantine, trace, as_json)
    elif twins is not None:
        _twins(twins, workers, as_json)
    elif seeds is not None or n is not None or byzantine is not None or long:
        _seeds(size, first_seed, 1000 if seeds is None else seeds, long, byzantine, workers, as_json)
    else:
        _gate(workers, as_json)


def _check(chosen: dict[str, Any], n: int | None, byzantine: int | None, workers: int) -> None:
    given = [flag for flag, value in chosen.items() if value is not None]
    if len(given) > 1 and given != ["--seed", "--mutant"]:
        raise CustodesError(f"{given[0]} and {given[1]} together make no sense", fix="give one of them")
    if n is not None and not 4 <= n <= LARGEST:
        raise CustodesError(f"--n {n} is not between 4 and {LARGEST}", fix="with fewer than 4 no liar can be stood")
    size = 4 if n is None else n
    if byzantine is not None and not 0 <= byzantine < size:
        raise CustodesError(f"--byzantine {byzantine} is not between 0 and {size - 1}")
    for flag in ("--seeds", "--twins"):
        if chosen[flag] is not None and chosen[flag] < 1:
            raise CustodesError(f"{flag} {chosen[flag]} is not at least 1")
    if chosen["--twins"] is not None and chosen["--twins"] > 4:
        raise CustodesError("--twins takes at most 4 views", fix="five would be eight million scenarios")
    if not 1 <= workers <= 64:
        raise CustodesError(f"--workers {workers} is not between 1 and 64")


def _gate(workers: int, as_json: bool) -> None:
    from custodes.bft.simulator import suite

    began = time.monotonic()
    total = suite.play_all(suite.gate(), workers, _progress(began))
    control = suite.play_all(suite.control(), workers)
    parts = {"parted": control.parted, "proven": control.proven, "scenarios": control.scenarios}
    holds = 0 < control.parted == control.proven
    found = suite.summary(
        total, 4, too_many_liars=parts, seconds=time.monotonic() - began, cpu_seconds=sum(os.times()[:4])
    )
    _tell(found, total, as_json, holds=holds)
    if not holds:
        raise typer.Exit(DOES_NOT_HOLD)


def _progress(began: float) -> Any:
    """Says on standard error which part is done."""
    from custodes.bft.simulator.suite import Fuzz, TwinsPart
    from custodes.cli.output import say

    kinds: list[str] = []

    def tell(task: Task, tally: Tally) -> None:
        if isinstance(task, Fuzz):
            kind = f"{task.length} seeds, n={task.n}"
        else:
            kind = f"Twins, {task.views} views" if isinstance(task, TwinsPart) else "directed scenarios"
        if not kinds or kinds[-1] != kind:
            kinds.append(kind)
            say(f"{time.monotonic() - began:6.0f} s  {kind}")

    return tell


def _seeds(n: int, first: int, count: int, long: bool, byzantine: int | None, workers: int, as_json: bool) -> None:
    from custodes.bft.simulator import suite

    total = suite.play_all(suite.fuzz(n, "long" if long else "short", first, count, byzantine), workers)
    _tell(suite.summary(total, n), total, as_json)


def _twins(views: int, workers: int, as_json: bool) -> None:
    from custodes.bft.simulator import suite
    from custodes.bft.simulator.twins import parts_of

    total = suite.play_all([suite.TwinsPart(views=views, part=part) for part in parts_of(views)], workers)
    _tell(suite.summary(total, 4), total, as_json)


def _tell(found: dict[str, Any], total: Tally, as_json: bool, *, holds: bool = True) -> None:
    """Print counts, then what failed and how to see it; exit 1 if anything did."""
    from custodes.cli.output import print_json, print_line, print_table, say

    if as_json:
        print_json(found)
    else:
        rows = [(key, value) for key, value in found.items() if isinstance(value, int | float)]
        print_table("Simulation:", ("what", "count"), rows)
        control = found.get("too_many_liars")
        if control is not None:
            print_line(
                "With f + 1 liars, scenarios that parted the honest replicas: {parted}, of those with proofs "
                "against f + 1 liars and nobody else: {proven}.".format(**control)
            )
    tell = say if as_json else print_line
    for failure in total.failures[:SHOWN]:
        tell(f"n={failure.n} seed {failure.seed}: {failure.rule}: {failure.what}")
        tell(f"    {failure.replay}")
    if len(total.failures) > SHOWN:
        tell(f"and {len(total.failures) - SHOWN} more (--json lists them)")
    if not holds:
        tell("f + 1 liars: no run parted the honest replicas, or one did without proofs")
    if total.failures or total.safety_violations or total.liveness_misses:
        raise typer.Exit(DOES_NOT_HOLD)


def _one(n: int, seed: int, long: bool, byzantine: int | None, trace: bool, as_json: bool) -> None:
    from custodes.bft.simulator.scenario import draw
    from custodes.bft.simulator.suite import REAL, Fuzz, judge, summary
    from custodes.bft.simulator.suite import Tally as Counts
    from custodes.bft.simulator.world import World
    from custodes.cli.output import print_line

    length = "long" if long else "short"
    real = seed % REAL == REAL - 1
    world = World(draw(n, seed, length, byzantine=byzantine, real=real), keep=True)  # type: ignore[arg-type]
    outcome = world.run()
    assert world.trace is not None
    if trace and not as_json:
        for line in world.trace.lines or ():
            print_line(line)
    total = Counts(scenarios=1, commits=outcome.commits, real=int(real))
    task = Fuzz(n=n, length=length, first=seed, count=1, byzantine=byzantine)  # type: ignore[arg-type]
    judge(task, world, outcome, total)
    more: dict[str, Any] = {"trace_hash": world.trace.digest()}
    if trace and as_json:
        more["trace"] = world.trace.lines
    if not as_json:
        print_line(f"trace hash {world.trace.digest()}")
    _tell(summary(total, n, **more), total, as_json)


def _one_with(mutant: str, n: int, seed: int, long: bool, byzantine: int | None, trace: bool, as_json: bool) -> None:
    """A seed with a defect in force."""
    from custodes.bft.simulator.faults import applied
    from custodes.bft.simulator.mutants import BY_NAME

    if mutant not in BY_NAME:
        raise CustodesError(f"{mutant!r} is no mutant", fix="see --mutant list")
    with applied(BY_NAME[mutant].seed):
        _one(n, seed, long, byzantine, trace, as_json)


def _twins_case(case: str, as_json: bool) -> None:
    from custodes.bft.simulator import twins
    from custodes.cli.output import print_json, print_line

    try:
        fault, lines = twins.replay(case)
    except ValueError as error:
        raise CustodesError(str(error), where="--twins-case") from None
    if as_json:
        print_json({"case": case, "fault": fault or None, "trace": lines})
    else:
        for line in lines:
            print_line(line)
        print_line(fault or "nothing broke")
    if fault:
        raise typer.Exit(DOES_NOT_HOLD)


def _directed(name: str, as_json: bool) -> None:
    from custodes.bft.simulator.directed import DIRECTED
    from custodes.cli.output import print_json, print_line, print_table

    if name == LIST:
        known = [{"name": each, "n": one.n, "what": one.what} for each, one in DIRECTED.items()]
        if as_json:
            print_json({"directed": known})
        else:
            print_table("Scenarios:", ("name", "what"), [(one["name"], one["what"]) for one in known], names=2)
        return
    if name not in DIRECTED:
        raise CustodesError(f"{name!r} is no scenario made by hand", fix="see --directed list")
    rule, what = DIRECTED[name].play()
    if as_json:
        print_json({"name": name, "holds": not rule, "rule": rule or None, "what": what or None})
    else:
        print_line(f"{name}: {rule}: {what}" if rule else f"{name}: all holds")
    if rule:
        raise typer.Exit(DOES_NOT_HOLD)


def _mutant(name: str, as_json: bool) -> None:
    from custodes.bft.simulator.hunting import hunt
    from custodes.bft.simulator.mutants import BY_NAME, MUTANTS
    from custodes.cli.output import print_json, print_line, print_table

    if name == LIST:
        if as_json:
            print_json({"mutants": [{"name": each.name, "what": each.what} for each in MUTANTS]})
        else:
            rows = [(each.name, each.what) for each in MUTANTS]
            print_table("Defects that can be seeded:", ("name", "what"), rows, names=2)
        return
    if name not in BY_NAME:
        raise CustodesError(f"{name!r} is no mutant", fix="see --mutant list")
    kill = hunt(BY_NAME[name])
    if as_json:
        print_json(_kill(kill))
    elif kill.killed:
        print_line(f"{name}: found by {kill.where}, seed {kill.seed}, after {kill.tried} scenarios")
        print_line(f"    {kill.rule}: {kill.what}")
        print_line(f"    {kill.replay}")
    else:
        print_line(f"{name}: survived {kill.tried} scenarios")
    if kill.killed:
        raise typer.Exit(DOES_NOT_HOLD)


def _kill(kill: Kill) -> dict[str, Any]:
    names = ("mutant", "killed", "where", "seed", "tried", "rule", "what", "replay")
    return {name: getattr(kill, name) for name in names}
