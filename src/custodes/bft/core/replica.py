"""A replica of the agreement protocol as a state machine."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

if TYPE_CHECKING:
    from custodes.bft.core.application import Application
    from custodes.bft.core.config import ReplicaConfig
    from custodes.bft.core.events import Action, Event
    from custodes.bft.crypto import Crypto
    from custodes.bft.safety import SafetyRules
    from custodes.bft.team import Team


@final
class Replica:
    """One replica; feed events to `step`, carry out the actions that it returns."""

    def __init__(
        self, *, config: ReplicaConfig, team: Team, safety: SafetyRules, crypto: Crypto, application: Application
    ) -> None:
        self._config = config
        self._team = team
        self._safety = safety
        self._crypto = crypto
        self._application = application

    def step(self, event: Event, now: float) -> list[Action]:
        """Takes one event at the driver's time `now` (seconds, never going back) and returns what to do, in order."""
        raise NotImplementedError
