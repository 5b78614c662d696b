"""The vote rules that custodes refuses, for comparison only: what would liars achieve under them?

Nothing but the attack table uses these. Each decides whole arrays of ballots, as the rule that is used does; why each
is refused stands in docs/bft.md and docs/byzantine.md.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from custodes.bft.rules import exact_quorum, plurality
from custodes.bft.votes import ACTIONS, severity_decision

ComparedRule: TypeAlias = Callable[[NDArray[Any], NDArray[Any], int], NDArray[Any]]
"""`rule(votes [..., n], confidence [..., n], f) -> decisions [...]`."""

USED: Final = "severity"
"""The rule that decides; the others stand beside it."""


def confidence_weighted(votes: NDArray[Any], confidence: NDArray[Any], f: int) -> NDArray[Any]:
    """The action with the largest sum of confidences, the less severe where two tie.

    Refused: a liar claims full confidence, and a team that is not sure of itself is outweighed by it.

    Args:
        votes: Integers [..., n].
        confidence: Floats [..., n], what each agent says of its own vote, 0 to 1.
        f: Not used; part of every rule's signature.
    """
    del f
    weight = np.stack([(confidence * (votes == action)).sum(-1) for action in range(len(ACTIONS))], axis=-1)
    return np.asarray(weight.argmax(-1))


RULES: Final[dict[str, ComparedRule]] = {
    USED: lambda votes, confidence, f: np.asarray(severity_decision(votes, f)),
    "plurality": lambda votes, confidence, f: np.asarray(plurality(votes, f)),
    "exact-quorum": lambda votes, confidence, f: np.asarray(exact_quorum(votes, f)),
    "confidence-weighted": confidence_weighted,
}
"""The rule that is used first, then those that are refused, in the order of tables."""
