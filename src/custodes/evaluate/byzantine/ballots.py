"""Honest ballots of a play, and what they become when agents lie."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import combinations
from math import comb
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from custodes.bft.attacks import Situation, lie

CHOICES: Final = 64
"""Choices of who lies that are played at most for one number of liars; more than that are drawn at random."""
PROTECTED: Final = 1
"""Code of the ballots that the attack `target` protects."""


@dataclass(frozen=True, kw_only=True)
class Ballots:
    """Votes on M events, one after the other as they happened, in each of S states of the entity (1 in triage)."""

    votes: NDArray[np.int8]
    """int8 [M, S, A]."""
    confidence: NDArray[np.float32]
    """float32 [M, S, A]: probability that each agent gave its own vote; a liar claims 1."""
    protected: NDArray[np.bool_]
    """bool [M]: events of entities that do something malicious, which liars protect where they choose."""
    f: int
    """Liars that the vote rule stands."""

    @property
    def agents(self) -> int:
        """A."""
        return int(self.votes.shape[2])


def with_liars(
    ballots: Ballots,
    attack: str,
    liars: tuple[int, ...],
    *,
    seed: int = 0,
    learned: NDArray[np.integer[Any]] | None = None,
) -> Ballots:
    """What is voted when some agents lie. Liars heed no mask, and claim full confidence.

    `sleeper` wakes half way through the part. `target` protects every entity that does something malicious: who lies
    for an attacker knows what belongs to the attack.

    Args:
        ballots: What all would vote honestly.
        attack: A key of `custodes.bft.attacks.ATTACKS`.
        liars: Agents that lie.
        seed: Seeds `random`.
        learned: What a traitor says in each agent's place, int [M, A]; needed by `traitor`.

    Raises:
        ValueError: Unknown attack, or one that needs what is not given.
    """
    count, _, agents = ballots.votes.shape
    lies = np.isin(np.arange(agents), liars)
    noise = np.random.default_rng(seed).random((count, 1, agents), dtype=np.float32) if attack == "random" else None
    votes = lie(
        attack,
        Situation(
            votes=ballots.votes,
            liars=lies,
            noise=noise,
            entity=np.where(ballots.protected, PROTECTED, 0)[:, None],
            step=np.arange(count)[:, None],
            targets=(PROTECTED,),
            wake=count // 2,
            learned=None if learned is None else learned[:, None, :],
        ),
    )
    return replace(ballots, votes=votes.astype(np.int8), confidence=np.where(lies, np.float32(1.0), ballots.confidence))


def agreement(ballots: Ballots) -> float:
    """Share of events on which all agents vote the same about a free entity, 0 to 1."""
    first = ballots.votes[:, 0]
    return float((first == first[:, :1]).all(1).mean()) if len(first) else 1.0


def choices_of(agents: int, count: int, seed: int) -> tuple[tuple[int, ...], ...]:
    """Who lies: every choice of `count` agents, or CHOICES different ones drawn at random where there are more."""
    if comb(agents, count) <= CHOICES:
        return tuple(combinations(range(agents), count))
    return tuple(sorted(_drawn(agents, count, seed)))


def _drawn(agents: int, count: int, seed: int) -> set[tuple[int, ...]]:
    rng, found = np.random.default_rng(seed), set[tuple[int, ...]]()
    while len(found) < CHOICES:
        found.add(tuple(np.sort(rng.choice(agents, count, replace=False)).tolist()))
    return found
