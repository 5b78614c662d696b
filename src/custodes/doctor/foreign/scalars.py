"""What a foreign log holds before anybody knows what its names mean."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field


@dataclass(kw_only=True)
class Scalars:
    """Numbers by tag and step, and texts by tag, as a trainer wrote them."""

    points: dict[str, dict[int, float]] = field(default_factory=dict)
    """By tag: value by step. Of two values of one step the later one counts."""
    texts: dict[str, str] = field(default_factory=dict)
    """By tag, such as `hyperparameters/text_summary`."""
    notes: list[str] = field(default_factory=list)
    """What a reader must know, a sentence each."""

    def add(self, tag: str, step: int, value: float) -> None:
        """Keep one number."""
        self.points.setdefault(tag, {})[step] = value

    def steps(self, tags: Iterable[str]) -> list[int]:
        """Every step at which one of the tags has a value, ascending."""
        return sorted({step for tag in tags for step in self.points.get(tag, {})})
