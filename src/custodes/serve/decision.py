"""What a team says about an event."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Literal

from custodes.bft.votes import ACTIONS

Standing = Literal["free", "open", "cleared", "gone"]
STANDINGS: Final[tuple[Standing, ...]] = ("free", "open", "cleared", "gone")
"""By the numbers of `env.response.replay` (FREE, OPEN, CLEARED), and GONE after them."""
GONE: Final = 3


@dataclass(frozen=True, kw_only=True, slots=True)
class SpecVerdict:
    """What is known of a rule after a decision."""

    spec: str
    """Name of the rule."""
    sample: int
    """Sample that the bounds are for, from 0: of the process or of the team, as the rule is watched."""
    lower: float
    """Lower bound of the robustness there."""
    upper: float
    """Upper bound; below 0 the rule is violated there."""

    @property
    def satisfied(self) -> bool | None:
        """True, False, or None while it is not known."""
        return True if self.lower >= 0 else False if self.upper < 0 else None


@dataclass(frozen=True, kw_only=True, slots=True)
class Overruled:
    """Why the shield took another action than the vote rule."""

    spec: str
    """The rule that the voted action would have violated; of several the first in the file."""
    why: str
    """In words, with the number that was below 0."""
    voted: int
    """Severity that the vote rule made of the votes, 0 to 3."""
    safe: bool
    """Whether the action taken violates no rule; False where none would have."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Decision:
    """One decision of a team about one event."""

    time: int
    """Of the event [ns UTC], as it arrived."""
    stream: str
    """Stream of the event."""
    entity: str
    """Acting process."""
    action: int
    """What is to be done, severity 0 (Allow) to 3 (Block)."""
    votes: tuple[int, ...]
    """Severity that each agent voted for, in the order of agents."""
    score: float
    """The (f+1)-th largest of the agents' probabilities of Quarantine or Block, in [0, 1]."""
    standing: Standing
    """What the process's votes were limited by: nothing, an open alert, an analyst's benign verdict; or it is gone."""
    alert: bool
    """Whether an analyst is to look at the process because of this decision."""
    overruled: Overruled | None = None
    """Why the shield took another action than the vote rule; None where it did not."""
    specs: tuple[SpecVerdict, ...] = ()
    """What is known of each rule that is watched."""

    def to_json(self) -> dict[str, Any]:
        """As `custodes score` prints it: actions by name."""
        row: dict[str, Any] = {
            "time": self.time,
            "stream": self.stream,
            "entity": self.entity,
            "action": ACTIONS[self.action],
            "votes": [ACTIONS[vote] for vote in self.votes],
            "score": self.score,
            "standing": self.standing,
            "alert": self.alert,
        }
        if self.overruled is not None:
            row["shield"] = {
                "spec": self.overruled.spec,
                "why": self.overruled.why,
                "voted": ACTIONS[self.overruled.voted],
                "safe": self.overruled.safe,
            }
        if self.specs:
            row["specs"] = {
                each.spec: {
                    "sample": each.sample,
                    "satisfied": each.satisfied,
                    "lower": each.lower,
                    "upper": each.upper,
                }
                for each in self.specs
            }
        return row
