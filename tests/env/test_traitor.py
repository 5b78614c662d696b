"""The traitor's game: who speaks for whom, what it sees, and what it is paid."""

from __future__ import annotations

import numpy as np
import torch

from custodes.bft.votes import severity_decision
from custodes.env.check import check_env
from custodes.env.response.config import ResponseConfig
from custodes.env.response.env import ResponseEnv
from custodes.env.traitor import TraitorEnv, seat_inputs
from tests.env.response.games import city, environment, rows_seen, states

CITY = city()
VOTES = torch.from_numpy(np.random.default_rng(0).integers(0, 4, (len(CITY.events), 4, 3)))


def game() -> ResponseEnv:
    return environment(CITY, ResponseConfig(slots=5), agents=4)


def traitor(seats: int = 2, seed: int = 0) -> TraitorEnv:
    return TraitorEnv(game(), VOTES, seats, seed)


def test_it_keeps_the_promises_of_an_environment() -> None:
    check_env(traitor(), steps=300)
    check_env(traitor(seats=4), steps=100)


def test_seats_vote_for_the_liars_and_earn_what_the_team_loses() -> None:
    env = traitor()
    plain = game()
    seen, shadow = env.reset(), plain.reset()
    generator = torch.Generator().manual_seed(2)
    for _ in range(200):
        said = torch.randint(0, 4, (5, 2), generator=generator)
        plays = seen.agents[:, :, -4:]
        ballots = []
        for slot, (row, state) in enumerate(zip(rows_seen(shadow), states(shadow), strict=True)):
            ballot = VOTES[row, :, state].clone()
            for seat in range(2):
                if bool(plays[slot, seat].any()):
                    ballot[int(plays[slot, seat].argmax())] = said[slot, seat]
            ballots.append(ballot)
        expected, step = plain.step(torch.stack(ballots)), env.step(said)
        assert torch.equal(step.decision, severity_decision(torch.stack(ballots), 1))
        assert torch.equal(step.reward, -expected.team_reward[:, None].expand(-1, 2))
        assert step.learns is not None
        assert torch.equal(step.learns, plays.any(-1))
        assert torch.equal(step.observation.central, expected.observation.central)
        seen, shadow = step.observation, expected.observation
    counts = torch.stack([traitor(seed=seed).state()["traitor.who"] for seed in range(50)])
    assert {int(number) for number in (counts < 4).sum(-1).flatten()} == {1, 2}


def test_a_seat_sees_what_is_known_who_lies_and_whom_it_plays() -> None:
    known = torch.tensor([[0.5, 2.0]])
    seen = seat_inputs(known, torch.tensor([[1, 3, 4]]), 4)
    assert seen.tolist() == [
        [
            [0.5, 2.0, 0, 1, 0, 1, 0, 1, 0, 0],
            [0.5, 2.0, 0, 1, 0, 1, 0, 0, 0, 1],
            [0.5, 2.0, 0, 1, 0, 1, 0, 0, 0, 0],
        ]
    ]
