"""Liars: what each says, against the definition one ballot at a time, with NumPy and torch."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from custodes.bft.attacks import ATTACKS, Situation, lie, register_attack, withheld
from custodes.bft.votes import ALERT, ALLOW, BLOCK, QUARANTINE, severity_decision

TARGETS, WAKE = (3, 5), 4


def definition(
    name: str, votes: list[int], agent: int, liars: list[bool], noise: float, entity: int, step: int, learned: int
) -> int:
    """What one liar says on one ballot."""
    honest = [vote for vote, lies in zip(votes, liars, strict=True) if not lies]
    against = ALLOW if 2 * sum(vote >= QUARANTINE for vote in honest) > len(honest) else BLOCK
    return {
        "random": int(noise * 4),
        "always-allow": ALLOW,
        "always-block": BLOCK,
        "flip": 3 - votes[agent],
        "collude": against,
        "target": ALLOW if entity in TARGETS else votes[agent],
        "sleeper": votes[agent] if step < WAKE else against,
        "withhold": ALLOW,
        "traitor": learned,
    }[name]


def situation(count: int, n: int, seed: int, each: bool) -> dict[str, Any]:
    """Arrays of a situation; `each` draws liars anew for every ballot."""
    rng = np.random.default_rng(seed)
    return {
        "votes": rng.integers(0, 4, (count, n)),
        "liars": rng.random((count, n) if each else n) < 0.4,
        "noise": rng.random((count, n)),
        "entity": rng.integers(0, 7, count),
        "step": rng.integers(0, 8, count),
        "learned": rng.integers(0, 4, (count, n)),
    }


@given(st.sampled_from(sorted(ATTACKS)), st.integers(1, 8), st.integers(0, 10_000), st.booleans())
def test_equals_the_definition_with_both_libraries(name: str, n: int, seed: int, each: bool) -> None:
    arrays = situation(20, n, seed, each)
    liars = np.broadcast_to(arrays["liars"], (20, n))
    expected = [
        [
            definition(
                name,
                arrays["votes"][i].tolist(),
                agent,
                liars[i].tolist(),
                float(arrays["noise"][i, agent]),
                int(arrays["entity"][i]),
                int(arrays["step"][i]),
                int(arrays["learned"][i, agent]),
            )
            if liars[i, agent]
            else int(arrays["votes"][i, agent])
            for agent in range(n)
        ]
        for i in range(20)
    ]
    before = {key: value.copy() for key, value in arrays.items()}
    with_numpy = lie(name, Situation(**arrays, targets=TARGETS, wake=WAKE))
    tensors = {key: torch.from_numpy(value) for key, value in arrays.items()}
    with_torch = lie(name, Situation(**tensors, targets=TARGETS, wake=WAKE))
    assert with_numpy.tolist() == expected
    assert with_torch.tolist() == expected
    assert all(np.array_equal(before[key], arrays[key]) for key in before)


@pytest.mark.parametrize("name", sorted(ATTACKS))
def test_one_ballot_at_a_time_agrees(name: str) -> None:
    arrays = situation(30, 4, 1, False)
    together = lie(name, Situation(**arrays, targets=TARGETS, wake=WAKE))
    for i in range(30):
        one = {key: value if key == "liars" else value[i] for key, value in arrays.items()}
        assert lie(name, Situation(**one, targets=TARGETS, wake=WAKE)).tolist() == together[i].tolist()


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int64"])
@pytest.mark.parametrize("name", sorted(ATTACKS))
def test_votes_stay_severities(name: str, dtype: str) -> None:
    arrays = situation(200, 4, 2, False)
    arrays["votes"] = arrays["votes"].astype(dtype)
    said = lie(name, Situation(**arrays, targets=TARGETS, wake=WAKE))
    assert np.issubdtype(said.dtype, np.integer)
    assert said.min() >= ALLOW
    assert said.max() <= BLOCK


@pytest.mark.parametrize("name", sorted(ATTACKS))
def test_f_liars_change_nothing_that_the_rule_promises(name: str) -> None:
    arrays = situation(4_000, 4, 3, False)
    arrays["liars"] = np.array([False, True, False, False])
    decided = severity_decision(lie(name, Situation(**arrays, targets=TARGETS, wake=WAKE)), 1)
    honest = arrays["votes"][:, [0, 2, 3]]
    healthy, guilty = (honest <= ALERT).all(1), (honest >= QUARANTINE).all(1)
    assert healthy.sum() > 100
    assert guilty.sum() > 100
    assert (decided[healthy] < QUARANTINE).all()
    assert (decided[guilty] >= QUARANTINE).all()


def test_collusion_of_too_many_contains_the_healthy() -> None:
    healthy = np.zeros((5, 4), np.int64)
    said = lie("collude", Situation(votes=healthy, liars=np.array([True, True, False, False])))
    assert (severity_decision(said, 1) >= QUARANTINE).all()


def test_only_withholding_keeps_votes_back() -> None:
    arrays = situation(3, 4, 4, True)
    given_situation = Situation(**arrays, targets=TARGETS)
    assert (withheld("withhold", given_situation) == arrays["liars"]).all()
    assert not withheld("flip", given_situation).any()


@pytest.mark.parametrize(
    ("name", "needs"), [("random", "noise"), ("target", "entity"), ("sleeper", "step"), ("traitor", "learned")]
)
def test_what_an_attack_needs_is_named(name: str, needs: str) -> None:
    arrays = situation(3, 4, 5, False) | {needs: None}
    with pytest.raises(ValueError, match=f"needs Situation.{needs}"):
        lie(name, Situation(**arrays, targets=TARGETS))


def test_a_target_is_needed() -> None:
    with pytest.raises(ValueError, match="needs targets"):
        lie("target", Situation(**situation(3, 4, 6, False)))


def test_unknown_and_taken_names_are_refused() -> None:
    with pytest.raises(ValueError, match="no attack 'bribe'; there are always-allow, "):
        lie("bribe", Situation(**situation(3, 4, 7, False)))
    with pytest.raises(ValueError, match="already"):
        register_attack("flip", ATTACKS["flip"])


def test_an_attack_of_ones_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("custodes.bft.attacks.ATTACKS", dict(ATTACKS))
    register_attack("alarmist", lambda situation: situation.votes * 0 + ALERT)
    said = lie("alarmist", Situation(votes=np.full((2, 4), BLOCK), liars=np.array([True, False, False, True])))
    assert said.tolist() == [[ALERT, BLOCK, BLOCK, ALERT]] * 2
