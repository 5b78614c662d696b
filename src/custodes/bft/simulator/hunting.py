"""Finds a seeded defect: plays the parts of the suite that should, until one fails."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

from custodes.bft.simulator import twins
from custodes.bft.simulator.directed import DIRECTED
from custodes.bft.simulator.faults import applied
from custodes.bft.simulator.mutants import BY_NAME, Hunt, Mutant
from custodes.bft.simulator.scenario import draw
from custodes.bft.simulator.world import World


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class Kill:
    """How a mutant was found."""

    mutant: str
    """Its name."""
    where: str
    """Part of the suite, such as `short n=4`; empty when it survived."""
    seed: str
    """The failing seed or scenario."""
    tried: int
    """Scenarios played until then."""
    rule: str
    """What failed: an invariant, or `liveness`."""
    what: str
    """One line."""

    @property
    def replay(self) -> str:
        """The command that shows it again, line by line where there is a trace."""
        if not self.where or not self.seed.isdigit():
            return f"custodes bft simulate --mutant {self.mutant}"
        length, size = self.where.split(" n=")
        more = " --long" if length == "long" else ""
        return f"custodes bft simulate --mutant {self.mutant} --seed {self.seed} --n {size}{more} --trace"

    @property
    def killed(self) -> bool:
        """Whether the suite found it."""
        return bool(self.where)


def hunt(mutant: Mutant) -> Kill:
    """Look for a mutant where it should be found, and stop at the first failure."""
    tried = 0
    for where in mutant.hunts:
        with applied(mutant.seed):
            kill, count = _HUNTERS[where.kind](mutant, where)
        tried += count
        if kill is not None:
            return kill
    return Kill(mutant=mutant.name, where="", seed="", tried=tried, rule="", what="survived")


def _in_seeds(mutant: Mutant, where: Hunt) -> tuple[Kill | None, int]:
    length = "long" if where.kind == "long" else "short"
    for seed in range(where.most):
        outcome = World(draw(where.n, seed, length)).run()  # type: ignore[arg-type]
        if outcome.failed:
            first = outcome.violations[0] if outcome.violations else None
            return Kill(
                mutant=mutant.name,
                where=f"{length} n={where.n}",
                seed=str(seed),
                tried=seed + 1,
                rule="liveness" if first is None else first.rule,
                what=f"replicas {list(outcome.late)} commit nothing in time" if first is None else first.what,
            ), seed + 1
    return None, where.most


def _directed(mutant: Mutant, where: Hunt) -> tuple[Kill | None, int]:
    rule, what = DIRECTED[where.name].play()
    if not rule:
        return None, 1
    return Kill(mutant=mutant.name, where="directed", seed=where.name, tried=1, rule=rule, what=what), 1


def _in_twins(mutant: Mutant, where: Hunt) -> tuple[Kill | None, int]:
    tried = 0
    for part in twins.parts_of(where.most):
        found = twins.explore(where.most, part, stop=True)
        tried += found.scenarios
        if found.failures:
            first = found.failures[0]
            return Kill(
                mutant=mutant.name,
                where=f"twins {where.most} views",
                seed=first.name,
                tried=tried,
                rule="agreement",
                what=first.what,
            ), tried
    return None, tried


_HUNTERS = {"short": _in_seeds, "long": _in_seeds, "directed": _directed, "twins": _in_twins}


def hunt_by_name(name: str) -> Kill:
    """Look for the mutant of this name; raises KeyError for an unknown one."""
    return hunt(BY_NAME[name])
