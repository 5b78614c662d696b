"""Rules on a running team: a shield over its own decisions, entities by stream and name."""

from __future__ import annotations

from typing import Any, final

from custodes.serve.decision import Overruled, SpecVerdict
from custodes.team.shield import Judgement, Shield, ShieldState, Voted


@final
class Watching:
    """Judges decisions one by one. Without hard rules it only tells what is known of each.

    Args:
        shield: The rules.
    """

    def __init__(self, shield: Shield) -> None:
        self.shield = shield
        self._state = shield.begin()

    def judge(self, voted: Voted) -> tuple[int, Overruled | None, tuple[SpecVerdict, ...]]:
        """The action to take, why it is not the voted one, and what is known of each rule."""
        said = self.shield.judge(self._state, voted)
        verdicts = tuple(
            SpecVerdict(spec=each.spec, sample=each.sample, lower=each.lower, upper=each.upper)
            for each in said.findings
        )
        return said.action, _overruled(said, voted.decision), verdicts

    @property
    def counts(self) -> dict[str, int]:
        """Decisions overruled, and those at which no action was safe."""
        return {"overruled": self._state.overruled, "unavoidable": self._state.unavoidable}

    def state(self) -> list[Any]:
        """As JSON has it."""
        return self._state.dump()

    def restore(self, state: list[Any]) -> None:
        """Go on from `state`."""
        self._state = ShieldState.load(state)


def _overruled(said: Judgement, decision: int) -> Overruled | None:
    if said.action == decision:
        return None
    return Overruled(spec=said.spec, why=said.why, voted=decision, safe=said.safe)
