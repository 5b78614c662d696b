"""A traitor says the same in evaluation as it would in its own game."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from custodes.env.response.replay import MASKS
from custodes.env.traitor import seat_inputs
from custodes.errors import CustodesError
from custodes.rl.config import LearnerConfig
from custodes.rl.networks import Policy
from custodes.team.traitor import Traitor, knowledge, learned_votes
from tests.evaluate.byzantine.test_record import team, workload


def traitor(inputs: int, seats: int = 2) -> Traitor:
    torch.manual_seed(1)
    config = LearnerConfig(sharing="shared", hidden=8, encoder=8)
    policy = Policy(config, agents=seats, inputs=inputs + 8, central_inputs=inputs, actions=4)
    head = policy.actor(0).policy_head
    assert head is not None
    torch.nn.init.normal_(head.weight, std=3.0)
    return Traitor(policy=policy, agents=4)


@pytest.mark.parametrize("liars", [(2,), (0, 3)])
def test_it_says_what_it_would_say_step_by_step(liars: tuple[int, ...]) -> None:
    given = workload("response")
    play = team().play(given.table, given.lanes("test"), MASKS)
    known, lanes = knowledge(given, play), given.lanes("test")
    assert known.shape == (len(play.rows), given.features.shape[1] + 18)
    ours = traitor(known.shape[1])
    said = learned_votes(ours, given, "test", play)(liars)
    assert (said[:, [agent for agent in range(4) if agent not in liars]] == 0).all()
    seats = torch.tensor([[*liars, *([4] * (2 - len(liars)))]])
    for lane in range(0, len(lanes.start), 7):
        begin, length = int(lanes.start[lane]), int(lanes.length[lane])
        inputs = seat_inputs(torch.from_numpy(known[begin : begin + length]), seats.expand(length, -1), 4)
        for seat, agent in enumerate(liars):
            x = ours.policy.identify(inputs[:, seat][:, None], seat)
            y, _ = ours.policy.actor(seat)(x, ours.policy.initial_state(1).actor[:, seat])
            head = ours.policy.actor(seat).policy_head
            assert head is not None
            expected = head(y)[:, 0].argmax(-1)
            assert said[begin : begin + length, agent].tolist() == expected.tolist()


def test_it_knows_votes_and_truth() -> None:
    given = workload("response")
    play = team().play(given.table, given.lanes("test"), MASKS)
    known = knowledge(given, play)
    width = given.features.shape[1]
    votes = known[:, width : width + 16].reshape(-1, 4, 4)
    assert np.array_equal(votes.argmax(-1), play.votes)
    assert (votes.sum(-1) == 1).all()
    malicious = given.dataset.labels[play.rows] == 1
    assert np.array_equal(known[:, -1] == 1, malicious)
    assert (known[malicious, -2] == 1).all()
    assert known[:, -2].sum() > known[:, -1].sum()


def test_more_liars_than_it_was_trained_for_are_refused() -> None:
    given = workload("response")
    play = team().play(given.table, given.lanes("test"), MASKS)
    with pytest.raises(CustodesError, match="trained for up to 2 liars, not 3"):
        learned_votes(traitor(given.features.shape[1] + 18), given, "test", play)((0, 1, 2))
