"""The vote rule: which action a team takes, from the severity that each agent voted for.

The same pure function serves training (vectorised), evaluation and the agreement protocol, so that the three can never
disagree. It works on any array whose type supports comparison, sum over an axis and integer arithmetic (NumPy, torch),
without importing either.
"""

from __future__ import annotations

from typing import Any, Final

ALLOW: Final = 0
ALERT: Final = 1
QUARANTINE: Final = 2
BLOCK: Final = 3
ACTIONS: Final = ("Allow", "Alert", "Quarantine", "Block")
"""Action names, indexed by severity."""


def tolerated(n: int) -> int:
    """f: how many of n agents may lie, floor((n - 1) / 3) (Pease, Shostak, Lamport 1980)."""
    if n < 1:
        raise ValueError(f"a team has at least one agent, not {n}")
    return (n - 1) // 3


def quorum(n: int) -> int:
    """Distinct signers that a certificate needs, ceil((n + f + 1) / 2): any two quorums share an honest replica.

    It equals 2f + 1 only when n = 3f + 1; for n = 5 or 6 the latter would be too few. The n - f honest replicas
    always reach it.
    """
    return (n + tolerated(n) + 2) // 2


def severity_decision(votes: Any, f: int) -> Any:
    """The team's decision for each ballot.

    Alert and Quarantine need f+1 votes at or above them, Block 2f+1. With at most f liars among n >= 3f+1 agents:

    - f+1 votes at a level mean that an honest agent voted at least that level: liars alone contain nobody;
    - all honest agents (at least 2f+1) at Block always Block, and all at Quarantine or above always contain, whatever
      the f others say: liars alone save nobody;
    - when only 2f+1 votes of the ballot arrive, the missing ones count as Allow: one liar can then lower a unanimous
      Block to Quarantine (2f honest votes reach f+1, not 2f+1), never undo containment.

    Exact-action quorums and confidence weights are refused by design: one liar, or one honest Quarantine among Blocks,
    would suppress every containment.

    Args:
        votes: Integer array [..., n], severities 0 (Allow) to 3 (Block); a missing vote is Allow.
        f: How many liars to stand, 0 <= f <= (n - 1) // 3.

    Returns:
        Integer array [...] of severities, of the same library (a Python or NumPy integer for one ballot of NumPy
        votes).

    Raises:
        ValueError: f does not fit n.
    """
    n = votes.shape[-1]
    if not 0 <= f <= tolerated(n):
        raise ValueError(f"f = {f} liars do not fit n = {n} agents: n >= 3f + 1 is needed")
    alert = (votes >= ALERT).sum(-1) > f
    quarantine = (votes >= QUARANTINE).sum(-1) > f
    block = (votes >= BLOCK).sum(-1) > 2 * f
    # Block implies Quarantine implies Alert, so the level is how many of the three hold.
    return alert * 1 + quarantine * 1 + block * 1


def decisions_without_each(votes: Any, f: int) -> Any:
    """What `severity_decision` would be if one agent's vote were missing, for each agent in turn.

    A missing vote counts as Allow, so an agent is pivotal where this differs from the decision. Linear in n: a vote is
    taken out of the counts.

    Args:
        votes: Integer array [..., n], severities 0 to 3.
        f: How many liars to stand.

    Returns:
        Integer array [..., n], of the same library.
    """

    def still(level: int, others: int) -> Any:
        at = votes >= level
        return (at.sum(-1)[..., None] - at * 1 > others) * 1

    return still(ALERT, f) + still(QUARANTINE, f) + still(BLOCK, 2 * f)
