"""A trained traitor: a policy that speaks for the liars of a finished team, and what it knows when it does.

It knows what the worst liar could know: all inputs of every agent, how every agent would vote on a free entity, whether
the entity and the event are the attacker's, and who else lies. None of this depends on what was done before, so what it
says is known before a replay, as the honest votes are.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from custodes.bft.votes import ACTIONS
from custodes.data.schema import MALICIOUS
from custodes.data.split import PartName
from custodes.env.lanes import Lanes
from custodes.env.table import EnvTable
from custodes.errors import CustodesError
from custodes.rl.networks import Policy
from custodes.team.team import Play, Team
from custodes.team.workload import Workload


@dataclass(frozen=True, kw_only=True)
class Traitor:
    """A traitor of a team of A agents."""

    policy: Policy
    """Plays as many seats as may lie at once."""
    agents: int
    """A."""
    notes: tuple[str, ...] = ()
    """What a reader of its results must know."""

    @property
    def seats(self) -> int:
        """Liars at most."""
        return self.policy.agents

    def says(self, known: NDArray[np.float32], lanes: Lanes, liars: tuple[int, ...]) -> NDArray[np.int8]:
        """What it says in each liar's place.

        Args:
            known: `knowledge` of the M events of the lanes, float32 [M, D].
            lanes: What is played.
            liars: Who lies.

        Returns:
            int8 [M, A] in the order of the lanes; 0 for agents that do not lie.

        Raises:
            CustodesError: More liars than it was trained for.
        """
        if len(liars) > self.seats:
            raise CustodesError(
                f"the traitor was trained for up to {self.seats} liars, not {len(liars)}",
                where="--byzantine",
                fix=f"use fewer, or train one with --set traitor.most={len(liars)}",
            )
        count = np.arange(len(known))
        places = replace(lanes, order=count, successor=lanes.start + lanes.length - 1)
        played = Team(policy=self.policy, f=0).play(self._table(known, liars), places)
        said = np.zeros((len(known), self.agents), dtype=np.int8)
        said[:, sorted(liars)] = played.votes[:, : len(liars)]
        return said

    def _table(self, known: NDArray[np.float32], liars: tuple[int, ...]) -> EnvTable:
        """What each seat sees of each event: as `custodes.env.traitor.seat_inputs` lays it out."""
        told = np.concatenate((np.isin(np.arange(self.agents), liars), np.ones(self.agents, dtype=np.bool_)))
        inputs = np.concatenate((known, np.broadcast_to(told, (len(known), len(told))).astype(np.float32)), axis=1)
        shown = np.ones((self.seats, inputs.shape[1]), dtype=np.bool_)
        # Of the last A columns, all 1, each seat sees the one of the agent that it plays.
        shown[:, -self.agents :] = False
        shown[np.arange(len(liars)), inputs.shape[1] - self.agents + np.array(sorted(liars), dtype=np.int64)] = True
        return EnvTable.from_numpy(inputs, np.zeros(len(known), np.int64), shown)


def knowledge(workload: Workload, play: Play) -> NDArray[np.float32]:
    """What a traitor knows of each event that a team has played, float32 [M, D + 4 A + 2], in the order of the play.

    The inputs (D), each agent's vote as one of four (4 A), whether the process is the attacker's, whether the event is.
    """
    rows = play.rows
    votes = (play.votes[..., None] == np.arange(len(ACTIONS))).reshape(len(rows), -1)
    truth = np.stack((workload.attackers()[rows], workload.dataset.labels[rows] == MALICIOUS), axis=1)
    return np.concatenate((workload.features[rows], votes, truth), axis=1, dtype=np.float32)


def learned_votes(
    traitor: Traitor, workload: Workload, part: PartName, play: Play
) -> Callable[[tuple[int, ...]], NDArray[np.int8]]:
    """From who lies to what a traitor says on a part that its team has played, int8 [M, A] in the order of the play."""
    known, lanes = knowledge(workload, play), workload.lanes(part)
    return lambda liars: traitor.says(known, lanes, liars)
