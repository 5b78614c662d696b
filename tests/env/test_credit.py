"""Who is paid for what: the difference reward against its definition, agent by agent and slot by slot."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from custodes.bft.votes import ALLOW, severity_decision, tolerated
from custodes.env.check import check_env
from custodes.env.credit import Payment
from custodes.env.response.config import ResponseConfig
from custodes.errors import CustodesError
from tests.env.response.games import city, environment

SLOTS = 5


@given(st.integers(2, 10), st.integers(0, 10_000), st.floats(0, 1))
def test_pivotal_is_what_the_vote_changed(n: int, seed: int, mix: float) -> None:
    generator = torch.Generator().manual_seed(seed)
    votes = torch.randint(0, 4, (SLOTS, n), generator=generator)
    worth = torch.randn(SLOTS, 4, generator=generator)
    f = tolerated(n)
    team = worth.gather(1, severity_decision(votes, f)[:, None])
    got = Payment(credit="pivotal", mix=mix, f=f)(worth, votes, team)
    for slot in range(SLOTS):
        for agent in range(n):
            silent = votes[slot].clone()
            silent[agent] = ALLOW
            with_vote, without = (worth[slot, int(severity_decision(v, f))] for v in (votes[slot], silent))
            own = worth[slot, int(votes[slot, agent])]
            expected = mix * (with_vote - without) + (1 - mix) * own
            assert got[slot, agent] == pytest.approx(float(expected), abs=1e-5)


def test_it_vanishes_where_all_agree_and_is_all_of_it_for_one_agent() -> None:
    worth = torch.tensor([[0.0, -0.1, 5.0, 9.0]])
    agreed = torch.full((1, 4), 3)
    pure = Payment(credit="pivotal", mix=1.0, f=1)
    assert pure(worth, agreed, worth[:, 3:]).tolist() == [[0.0] * 4]
    lone = torch.tensor([[3, 3, 3, 0]])
    # Without any one of three, Block falls to Quarantine.
    assert pure(worth, lone, worth[:, 3:]).tolist() == [[4.0, 4.0, 4.0, 0.0]]
    assert pure(worth, torch.tensor([[2]]), worth[:, 2:3]).tolist() == [[5.0]]


def test_expected_gradient_is_that_of_the_team_reward() -> None:
    """What is subtracted does not depend on the own action, so it drops out of the expected score-function gradient."""
    generator = torch.Generator().manual_seed(0)
    worth = torch.randn(1, 4, generator=generator, dtype=torch.float64)
    logits = torch.randn(4, 4, generator=generator, dtype=torch.float64)
    others = torch.tensor([0, 2, 3])
    probability = logits[0].softmax(-1)
    expected = []
    for credit in ("team", "pivotal"):
        pay = Payment(credit=credit, mix=1.0, f=1)
        total = torch.zeros(4, dtype=torch.float64)
        for action in range(4):
            votes = torch.cat((torch.tensor([action]), others))[None]
            reward = pay(worth, votes, worth.gather(1, severity_decision(votes, 1)[:, None]))[0, 0]
            score = torch.nn.functional.one_hot(torch.tensor(action), 4) - probability
            total += probability[action] * reward * score
        expected.append(total)
    torch.testing.assert_close(expected[0], expected[1])


def test_an_environment_with_pivotal_credit_conforms() -> None:
    env = environment(city(), ResponseConfig(slots=4, credit="pivotal"), agents=4)
    check_env(env, steps=200)


def test_other_names_and_mixes_are_refused() -> None:
    with pytest.raises(CustodesError, match=r"env\.credit: unknown credit 'mine'.*individual, team or pivotal"):
        replace(ResponseConfig(), credit="mine")  # type: ignore[arg-type]
    with pytest.raises(CustodesError, match=r"env\.credit_mix"):
        replace(ResponseConfig(), credit_mix=1.5)
