"""Lies on whole plays: who is replaced, by what, in every state; and who may lie."""

from __future__ import annotations

from math import comb

import numpy as np
import pytest

from custodes.bft.attacks import ATTACKS, Situation, lie
from custodes.evaluate.byzantine.ballots import CHOICES, Ballots, agreement, choices_of, with_liars


def ballots(count: int = 40, states: int = 3, agents: int = 4, seed: int = 0) -> Ballots:
    draw = np.random.default_rng(seed)
    return Ballots(
        votes=draw.integers(0, 4, (count, states, agents)).astype(np.int8),
        confidence=draw.random((count, states, agents), dtype=np.float32),
        protected=draw.random(count) < 0.3,
        f=1,
    )


@pytest.mark.parametrize("attack", sorted(ATTACKS))
def test_each_event_and_state_is_lied_about_as_one_ballot(attack: str) -> None:
    honest, liars = ballots(), (1, 3)
    learned = np.random.default_rng(5).integers(0, 4, (40, 4)).astype(np.int8)
    lied = with_liars(honest, attack, liars, seed=7, learned=learned)
    noise = np.random.default_rng(7).random((40, 1, 4), dtype=np.float32)
    for event in range(40):
        for state in range(3):
            one = Situation(
                votes=honest.votes[event, state],
                liars=np.array([False, True, False, True]),
                noise=noise[event, 0],
                entity=np.array(int(honest.protected[event])),
                step=np.array(event),
                targets=(1,),
                wake=20,
                learned=learned[event],
            )
            assert lied.votes[event, state].tolist() == lie(attack, one).tolist()
    assert (lied.votes[:, :, [0, 2]] == honest.votes[:, :, [0, 2]]).all()
    assert (lied.confidence[:, :, [1, 3]] == 1).all()
    assert (lied.confidence[:, :, [0, 2]] == honest.confidence[:, :, [0, 2]]).all()
    assert lied.votes.dtype == np.int8


def test_every_choice_of_liars_up_to_a_limit() -> None:
    assert choices_of(4, 1, 0) == ((0,), (1,), (2,), (3,))
    assert len(choices_of(7, 2, 0)) == comb(7, 2)
    many = choices_of(30, 9, 0)
    assert len(set(many)) == CHOICES < comb(30, 9)
    assert all(len(set(one)) == 9 and list(one) == sorted(one) for one in many)
    assert many == choices_of(30, 9, 0) != choices_of(30, 9, 1)


def test_agreement_counts_events_on_which_all_vote_the_same() -> None:
    votes = np.array([[[0, 0]], [[1, 2]], [[3, 3]], [[0, 1]]], dtype=np.int8)
    some = Ballots(votes=votes, confidence=np.ones(votes.shape, np.float32), protected=np.zeros(4, bool), f=0)
    assert agreement(some) == 0.5
