"""Vote rules of one's own, a check of what they promise, and rules that were refused, to compare with.

A vote rule is a function `rule(votes, f)` from integer votes [..., n] of severities 0 to 3 (a missing vote is Allow) to
decisions [...], pure, over whole arrays. `custodes.bft.votes.severity_decision` is the one that custodes uses. To try
another:

    import numpy as np
    from custodes.bft.rules import check_vote_rule

    def median(votes, f):
        return np.sort(votes, axis=-1)[..., votes.shape[-1] // 2]

    report = check_vote_rule(median, n=4)
    print(report.safe, report.sentences())

The check is exhaustive: every honest vote, every lie, every choice of who lies, and every quorum that a lying leader
may choose to count.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import combinations
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from custodes.bft.votes import ACTIONS, ALERT, ALLOW, BLOCK, QUARANTINE, quorum, severity_decision, tolerated

VoteRule: TypeAlias = Callable[[Any, int], Any]
"""`rule(votes [..., n], f) -> decisions [...]`."""

LARGEST: Final = 7
"""Largest team that is checked exhaustively: 4 ** 7 ballots under 29 quorums of 7 agents, 2 of them lying."""


@dataclass(frozen=True, kw_only=True)
class RuleReport:
    """What a vote rule did on every ballot of one team size."""

    n: int
    """Agents."""
    f: int
    """Liars among them."""
    ballots: int
    """Ballots looked at: votes x liars x quorums."""
    false_containments: int
    """Ballots on which all honest agents voted Alert or less, and the entity was contained all the same."""
    suppressions: int
    """Ballots on which all honest agents voted Quarantine or more, and the entity was not contained."""
    unfounded_blocks: int
    """Ballots that ended in Block although no honest agent voted Block."""
    lowered: int
    """Pairs of ballots in which one vote more severe made the decision less severe."""
    examples: tuple[str, ...]
    """One sentence for the first ballot of each kind that failed."""

    @property
    def safe(self) -> bool:
        """Whether f liars can neither contain, save nor block by themselves, and severity is monotone."""
        return not (self.false_containments or self.suppressions or self.unfounded_blocks or self.lowered)

    def sentences(self) -> str:
        """The examples as one line."""
        return "; ".join(self.examples) or f"n = {self.n}, f = {self.f}: {self.ballots:,} ballots, none fails"


def check_vote_rule(rule: VoteRule, *, n: int = 4) -> RuleReport:
    """Try a vote rule on every ballot.

    Args:
        rule: Called with int64 NumPy arrays [m, n] and f; must not change them.
        n: Size of the team, 4 to 7.

    Returns:
        How often it failed, with an example of each failure.

    Raises:
        ValueError: The size is out of range, or the rule returns something other than m severities.
    """
    if not 4 <= n <= LARGEST:
        raise ValueError(f"teams of 4 to {LARGEST} are checked exhaustively, not of {n}")
    f = tolerated(n)
    votes = _every_ballot(n)
    counts = {"false containment": 0, "suppression": 0, "unfounded Block": 0}
    examples: dict[str, str] = {}
    ballots = 0
    for counted in _quorums(n):
        decided = _decide(rule, np.where(counted, votes, ALLOW), f)
        for liars in combinations(range(n), f):
            honest = np.delete(votes, liars, axis=1)
            ballots += len(votes)
            wrong = {
                "false containment": (honest <= ALERT).all(1) & (decided >= QUARANTINE),
                "suppression": (honest >= QUARANTINE).all(1) & (decided < QUARANTINE),
                "unfounded Block": (honest < BLOCK).all(1) & (decided == BLOCK),
            }
            for kind, which in wrong.items():
                counts[kind] += int(which.sum())
                if which.any() and kind not in examples:
                    examples[kind] = _sentence(kind, votes[which][0], liars, counted, int(decided[which][0]))
    lowered = _lowered(_decide(rule, votes, f), n)
    if lowered:
        examples["lowered"] = f"{lowered} times a more severe vote made the decision less severe"
    return RuleReport(
        n=n,
        f=f,
        ballots=ballots,
        false_containments=counts["false containment"],
        suppressions=counts["suppression"],
        unfounded_blocks=counts["unfounded Block"],
        lowered=lowered,
        examples=tuple(examples.values()),
    )


def plurality(votes: Any, f: int) -> Any:
    """The action that most agents voted for, the less severe where two tie. Refused: votes of the honest split.

    Args:
        votes: Integers [..., n].
        f: Not used; part of every rule's signature.

    Returns:
        Integers [...].
    """
    del f
    counts = [(votes == action).sum(-1) for action in range(len(ACTIONS))]
    best, decision = counts[ALLOW], counts[ALLOW] * 0
    for action in (ALERT, QUARANTINE, BLOCK):
        more = (counts[action] > best) * 1
        decision = decision + (action - decision) * more
        best = best + (counts[action] - best) * more
    return decision


def exact_quorum(votes: Any, f: int) -> Any:
    """The action that 2f+1 agents agree on exactly, else Alert. Refused: one liar suppresses every containment.

    Where 2f+1 is no majority (n is not 3f+1) and two actions reach it, the severer one counts.

    Args:
        votes: Integers [..., n].
        f: Liars to stand.

    Returns:
        Integers [...].
    """
    decision = (votes == ALLOW).sum(-1) * 0 + ALERT
    for action in range(len(ACTIONS)):
        decision = decision + (action - decision) * (((votes == action).sum(-1) >= 2 * f + 1) * 1)
    return decision


def mean_severity(votes: Any, f: int) -> Any:
    """The mean of the severities, rounded half up: what confidence-weighted sums come to. Refused: one liar moves it.

    Args:
        votes: Integers [..., n].
        f: Not used; part of every rule's signature.

    Returns:
        Integers [...].
    """
    del f
    n = votes.shape[-1]
    return (2 * votes.sum(-1) + n) // (2 * n)


VOTE_RULES: Final[dict[str, VoteRule]] = {
    "severity": severity_decision,
    "plurality": plurality,
    "exact-quorum": exact_quorum,
    "mean-severity": mean_severity,
}
"""Rules by name: the one that is used, and those that it is compared with."""


def _every_ballot(n: int) -> NDArray[np.int64]:
    """[4 ** n, n]."""
    return np.stack(np.meshgrid(*[np.arange(4)] * n, indexing="ij"), axis=-1).reshape(-1, n)


def _quorums(n: int) -> Iterator[NDArray[np.bool_]]:
    """Which votes count: all of them, or any quorum that a leader may choose, bool [n]."""
    for size in range(quorum(n), n + 1):
        for chosen in combinations(range(n), size):
            counted = np.zeros(n, np.bool_)
            counted[list(chosen)] = True
            yield counted


def _decide(rule: VoteRule, votes: NDArray[np.int64], f: int) -> NDArray[np.int64]:
    """Decisions of a rule, refused when they are none."""
    decided = np.asarray(rule(votes.copy(), f))
    if decided.shape != votes.shape[:1] or not np.issubdtype(decided.dtype, np.integer):
        raise ValueError(f"the rule returned {decided.dtype} {list(decided.shape)}, not integers {[len(votes)]}")
    if decided.min() < ALLOW or decided.max() > BLOCK:
        raise ValueError(f"the rule returned {decided.min()} to {decided.max()}, not severities 0 to 3")
    return decided


def _lowered(decided: NDArray[np.int64], n: int) -> int:
    """How often one step up in one vote took the decision down; ballots in the order of `_every_ballot`."""
    cube = decided.reshape((4,) * n)
    return int(sum((np.diff(cube, axis=agent) < 0).sum() for agent in range(n)))


def _sentence(
    kind: str, votes: NDArray[np.int64], liars: tuple[int, ...], counted: NDArray[np.bool_], decided: int
) -> str:
    """One failing ballot in words."""
    said = ", ".join(
        f"{ACTIONS[vote]}{' (lies)' if agent in liars else ''}{'' if counted[agent] else ' (left out)'}"
        for agent, vote in enumerate(votes)
    )
    return f"{kind}: {said} became {ACTIONS[decided]}"
