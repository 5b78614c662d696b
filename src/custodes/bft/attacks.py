"""Byzantine voters: what compromised agents say instead of what they saw.

Pure functions over whole arrays (NumPy or torch, without importing either), so that training plays them on thousands
of ballots at once and evaluation plays the very same ones. Chance comes from the caller as an array, so that a seed
decides.

    honest = ...                                   # int [ballots, n]
    liars = ...                                    # bool [n] or [ballots, n], at most f of them
    situation = Situation(votes=honest, liars=liars, noise=rng.random(honest.shape))
    votes = lie("collude", situation)

An attack of one's own is registered with `register_attack`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from custodes.bft.votes import ALLOW, BLOCK, QUARANTINE


@dataclass(frozen=True, kw_only=True)
class Situation:
    """What liars know when they vote: everything, as the worst case."""

    votes: Any
    """Integers [..., n], 0 to 3: what every agent would vote honestly."""
    liars: Any
    """bool [n] or [..., n]: who lies."""
    noise: Any | None = None
    """Uniform numbers in [0, 1), [..., n]; needed by random."""
    entity: Any | None = None
    """Integers [...]: which entity each ballot is about; needed by target."""
    step: Any | None = None
    """Integers [...], >= 0: ballots before this one in the episode; needed by sleeper."""
    targets: tuple[int, ...] = ()
    """Entities that target protects."""
    wake: int = 256
    """Ballots that sleeper stays honest for."""
    learned: Any | None = None
    """Integers [..., n], 0 to 3: what a policy trained against this team says; needed by traitor."""


Attack: TypeAlias = Callable[[Situation], Any]
"""What an agent says if it lies, integers [..., n]; only the liars' entries are used."""


def always_allow(situation: Situation) -> Any:
    """Allow, whatever happens: tries to suppress every containment."""
    return situation.votes * 0 + ALLOW


def always_block(situation: Situation) -> Any:
    """Block, whatever happens: tries to contain the healthy."""
    return situation.votes * 0 + BLOCK


def flip(situation: Situation) -> Any:
    """The opposite severity of what the agent saw."""
    return BLOCK - situation.votes


def at_random(situation: Situation) -> Any:
    """Any severity, with equal chances."""
    noise = _needed(situation.noise, "noise", "random")
    return situation.votes * 0 + (noise >= 0.25) * 1 + (noise >= 0.5) * 1 + (noise >= 0.75) * 1


def collude(situation: Situation) -> Any:
    """All liars push together against what most honest agents are about to decide."""
    honest = _honest(situation)
    contains = ((situation.votes >= QUARANTINE) & honest).sum(-1) * 2 > (honest & (situation.votes >= 0)).sum(-1)
    return situation.votes * 0 + (~contains)[..., None] * BLOCK


def target(situation: Situation) -> Any:
    """Honest, but for the entities to protect: those are Allowed. Hardest to notice."""
    entity = _needed(situation.entity, "entity", "target")
    if not situation.targets:
        raise ValueError("attack 'target' needs targets, the entities that it protects")
    spared = entity == situation.targets[0]
    for other in situation.targets[1:]:
        spared = spared | (entity == other)
    return situation.votes * (~spared)[..., None]


def sleeper(situation: Situation) -> Any:
    """Honest for `wake` ballots, then collude."""
    step = _needed(situation.step, "step", "sleeper")
    awake = (step >= situation.wake)[..., None] * 1
    return situation.votes * (1 - awake) + collude(situation) * awake


def withhold(situation: Situation) -> Any:
    """No vote at all, which counts as Allow (`withheld` tells a protocol which votes to keep back)."""
    return situation.votes * 0 + ALLOW


def traitor(situation: Situation) -> Any:
    """What a policy says that was trained to harm this very team (`custodes.team.traitor`)."""
    return situation.votes * 0 + _needed(situation.learned, "learned", "traitor")


ATTACKS: Final[dict[str, Attack]] = {
    "random": at_random,
    "always-allow": always_allow,
    "always-block": always_block,
    "flip": flip,
    "collude": collude,
    "target": target,
    "sleeper": sleeper,
    "withhold": withhold,
    "traitor": traitor,
}
"""Attacks by name."""


def register_attack(name: str, attack: Attack) -> None:
    """Add an attack of one's own.

    Args:
        name: A new name.
        attack: Pure function of a situation.

    Raises:
        ValueError: The name is taken.
    """
    if name in ATTACKS:
        raise ValueError(f"there is an attack '{name}' already; choose another name")
    ATTACKS[name] = attack


def lie(name: str, situation: Situation) -> Any:
    """The votes of a team with liars in it.

    Args:
        name: A key of ATTACKS.
        situation: Honest votes, and who lies.

    Returns:
        Integers [..., n], as `situation.votes`: the honest agents' votes unchanged, the liars' replaced.

    Raises:
        ValueError: Unknown attack, or one that needs what the situation lacks.
    """
    if name not in ATTACKS:
        raise ValueError(f"no attack '{name}'; there are {', '.join(sorted(ATTACKS))}")
    said = ATTACKS[name](situation)
    return situation.votes * _honest(situation) + said * (situation.votes * 0 + situation.liars)


def withheld(name: str, situation: Situation) -> Any:
    """Which votes never arrive, bool [..., n]: the liars' under withhold, none else."""
    nobody = situation.votes < ALLOW
    return (nobody | situation.liars) if name == "withhold" else nobody


def _honest(situation: Situation) -> Any:
    """Who tells what it saw, bool [n] or [..., n]."""
    return ~situation.liars


def _needed(value: Any | None, what: str, name: str) -> Any:
    """What an attack cannot do without."""
    if value is None:
        raise ValueError(f"attack '{name}' needs Situation.{what}")
    return value
