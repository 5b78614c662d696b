"""A team whose leaders follow a table: safety must not depend on who leads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast, final

from custodes.bft.team import Team


@final
class Turns:
    """Stands in for a `Team`, which is final and takes turns: the same attributes and another `leader`.

    Args:
        team: Keys, chain and epoch.
        leaders: Key that leads, by view; views that it does not name are led in turn.
    """

    __slots__ = ("_leaders", "_team", "chain", "context", "epoch", "f", "genesis", "keys", "n", "quorum")

    def __init__(self, team: Team, leaders: Mapping[int, int]) -> None:
        self._team = team
        self._leaders = leaders
        for name in ("chain", "context", "epoch", "f", "genesis", "keys", "n", "quorum"):
            setattr(self, name, getattr(team, name))

    def leader(self, view: int) -> int:
        """Who leads a view."""
        return self._leaders.get(view, self._team.leader(view))


def with_leaders(team: Team, leaders: Mapping[int, int]) -> Team:
    """The team with these leaders; the mapping may grow."""
    return cast(Team, Turns(team, leaders))
