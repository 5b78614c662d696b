"""The look-up is the vote rule."""

from __future__ import annotations

import pytest
import torch

from custodes.bft.votes import severity_decision, tolerated
from custodes.env.ballots import LARGEST, VoteRule


@pytest.mark.parametrize("agents", range(2, LARGEST + 2))
def test_every_ballot_is_decided_by_the_rule(agents: int) -> None:
    ballots = torch.cartesian_prod(*[torch.arange(4)] * agents)
    for f in range(tolerated(agents) + 1):
        decided = VoteRule(agents, f)(ballots)
        assert decided.dtype == torch.int64
        assert torch.equal(decided, severity_decision(ballots, f))


def test_one_agents_vote_is_the_decision_and_no_view_of_it() -> None:
    votes = torch.tensor([[0], [3], [2]])
    decided = VoteRule(1, 0)(votes)
    votes[0] = 1
    assert decided.tolist() == [0, 3, 2]
