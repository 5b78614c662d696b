"""The `bft` part of `evaluation-<split>.json`: what liars achieve (docs/run-folder.md, docs/byzantine.md)."""

from __future__ import annotations

from typing import Annotated

import msgspec

from custodes.evaluate.response.schema import Amount, Count, Waits

Share = Annotated[float, msgspec.Meta(ge=0, le=1)]


class AttackFigures(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the decisions of a team with liars came to: the mean, or each figure's worst, over who lies."""

    score: float | None
    cost: Amount | None
    f1: Share | None
    unchanged: Share
    false_containments: Amount
    false_containments_per_1000: Amount
    suppression_rate: Share | None
    malicious_prevented: Amount
    time_to_contain_s: Waits
    stl: dict[str, Share | None] | None = None

    def kept_least(self) -> tuple[str, float] | None:
        """The rule with the least satisfied share of windows, and that share; None where no rule had a window."""
        known = [(share, name) for name, share in (self.stl or {}).items() if share is not None]
        if not known:
            return None
        share, name = min(known)
        return name, share


class AttackRow(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One vote rule under one attack by one number of liars."""

    rule: str
    attack: str | None
    byzantine: Count
    choices: Annotated[int, msgspec.Meta(ge=1)]
    choices_possible: Annotated[int, msgspec.Meta(ge=1)]
    mean: AttackFigures
    worst: AttackFigures
    worst_liars: tuple[Count, ...]
    shielded: AttackFigures | msgspec.UnsetType = msgspec.UNSET
    """Not there at all without a shield."""

    def __post_init__(self) -> None:
        """Refuse rows that contradict themselves."""
        if self.choices > self.choices_possible:
            raise ValueError("choices is above choices_possible")
        if len(self.worst_liars) != self.byzantine or (self.attack is None) != (self.byzantine == 0):
            raise ValueError("byzantine, attack and worst_liars do not fit together")


class ByzantineRecord(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The team under lying agents; without an attack, how far its agents agree."""

    n: Annotated[int, msgspec.Meta(ge=1)]
    f: Count
    byzantine: Count
    attack: str | None
    agreement: Share
    false_containment_rate: Share | None
    suppression_rate: Share | None
    table: tuple[AttackRow, ...] = ()
    notes: tuple[str, ...] = ()
    seconds: Amount = 0.0
