"""The vote rule against naive counting, and its promises over every ballot of small teams."""

from __future__ import annotations

import subprocess
import sys
from itertools import combinations
from random import Random

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from custodes.bft.votes import (
    ACTIONS,
    ALERT,
    ALLOW,
    BLOCK,
    QUARANTINE,
    decisions_without_each,
    severity_decision,
    tolerated,
)

LEVELS = (ALLOW, ALERT, QUARANTINE, BLOCK)


def definition(votes: list[int], f: int) -> int:
    """The highest level with enough votes at or above it, one vote at a time."""
    decision = ALLOW
    for level, needed in ((ALERT, f + 1), (QUARANTINE, f + 1), (BLOCK, 2 * f + 1)):
        count = 0
        for vote in votes:
            if vote >= level:
                count += 1
        if count >= needed:
            decision = level
    return decision


@st.composite
def ballots(draw: st.DrawFn) -> tuple[list[int], int]:
    n = draw(st.integers(1, 10))
    return draw(st.lists(st.sampled_from(LEVELS), min_size=n, max_size=n)), draw(st.integers(0, (n - 1) // 3))


def every_ballot(n: int) -> NDArray[np.int8]:
    """[4 ** n, n]: all ballots of n agents."""
    return np.stack(np.meshgrid(*[np.arange(4, dtype=np.int8)] * n, indexing="ij"), axis=-1).reshape(-1, n)


@given(ballots())
def test_equals_the_definition(ballot: tuple[list[int], int]) -> None:
    votes, f = ballot
    assert severity_decision(np.array(votes), f) == definition(votes, f)


@given(ballots())
def test_a_vote_taken_out_is_a_missing_vote(ballot: tuple[list[int], int]) -> None:
    votes, f = ballot
    expected = [
        definition([ALLOW if one == agent else vote for one, vote in enumerate(votes)], f)
        for agent in range(len(votes))
    ]
    assert decisions_without_each(np.array(votes), f).tolist() == expected
    assert decisions_without_each(torch.tensor([votes, votes]), f).tolist() == [expected, expected]


@pytest.mark.parametrize("n", range(1, 8))
def test_equals_the_definition_on_every_ballot_of_small_teams(n: int) -> None:
    some = every_ballot(n)[:: 1 if n < 7 else 5]
    for f in range(tolerated(n) + 1):
        expected = [definition(votes, f) for votes in some.tolist()]
        assert severity_decision(some, f).tolist() == expected


@pytest.mark.parametrize("n", [4, 7])
def test_f_liars_neither_contain_nor_save_whatever_they_say(n: int) -> None:
    """Every honest and every lying vote, and every choice of who lies."""
    f = tolerated(n)
    assert n == 3 * f + 1
    votes = every_ballot(n)
    decisions = severity_decision(votes, f)
    for liars in combinations(range(n), f):
        honest = np.delete(votes, liars, axis=1)
        harmless, guilty = (honest <= ALERT).all(1), (honest >= QUARANTINE).all(1)
        assert harmless.sum() == 2 ** (n - f) * 4**f
        assert guilty.sum() == 2 ** (n - f) * 4**f
        assert (decisions[harmless] >= QUARANTINE).sum() == 0
        assert (decisions[guilty] < QUARANTINE).sum() == 0
        assert (decisions[(honest == BLOCK).all(1)] == BLOCK).all()
        assert (decisions[(honest == ALLOW).all(1)] == ALLOW).all()
        assert (decisions[(honest >= ALERT).all(1)] >= ALERT).all()


@pytest.mark.parametrize("n", [4, 7])
def test_the_promises_do_not_hold_for_one_liar_more(n: int) -> None:
    """The test above can fail: f + 1 liars contain the innocent and save the guilty from Block."""
    f = tolerated(n)
    innocent = np.array([BLOCK] * (f + 1) + [ALLOW] * (n - f - 1))
    guilty = np.array([ALLOW] * (f + 1) + [BLOCK] * (n - f - 1))
    assert severity_decision(innocent, f) == QUARANTINE
    assert severity_decision(guilty, f) == QUARANTINE


@pytest.mark.parametrize("n", range(1, 11))
def test_a_partial_ballot_still_contains_what_all_honest_block(n: int) -> None:
    """2f+1 votes arrive, f of them lies: f+1 honest Blocks are left, which is Quarantine at least."""
    for f in range(tolerated(n) + 1):
        lies = every_ballot(f) if f else np.zeros((1, 0), np.int8)
        votes = np.full((len(lies), n), ALLOW, np.int8)
        votes[:, :f] = lies
        votes[:, f : 2 * f + 1] = BLOCK
        decisions = severity_decision(votes, f)
        assert (decisions >= QUARANTINE).all()
        assert (decisions == BLOCK).any()
        # One liar is enough to lower it from Block, as the docstring says.
        if f:
            one = np.array([ALLOW] + [BLOCK] * (2 * f) + [ALLOW] * (n - 2 * f - 1))
            assert severity_decision(one, f) == QUARANTINE


@pytest.mark.parametrize("n", [4, 5, 6, 7, 8])
def test_honest_mistakes_that_the_rule_stands(n: int) -> None:
    """As docs/bft.md has it: e honest agents miss a threat, or see one where there is none, and f liars push along."""
    f = tolerated(n)
    for e in range(n - f + 1):
        seen = [ALLOW] * (f + e) + [BLOCK] * (n - f - e)
        assert (severity_decision(np.array(seen), f) >= QUARANTINE) == (n >= 2 * f + e + 1)
        assert (severity_decision(np.array(seen), f) == BLOCK) == (n >= 3 * f + e + 1)
        if e <= n - 2 * f:
            # A leader counts n - f votes, those of all liars among them.
            chosen = [ALLOW] * f + seen[: f + e] + seen[f + e : n - f]
            assert (severity_decision(np.array(chosen), f) >= QUARANTINE) == (n >= 3 * f + e + 1)
        false = severity_decision(np.array([BLOCK] * (f + e) + [ALLOW] * (n - f - e)), f)
        assert (false >= QUARANTINE) == (e >= 1)
        assert (false == BLOCK) == (e > f)


@given(ballots(), st.randoms(use_true_random=False))
def test_the_order_of_agents_does_not_matter(ballot: tuple[list[int], int], random: Random) -> None:
    votes, f = ballot
    shuffled = random.sample(votes, len(votes))
    assert severity_decision(np.array(shuffled), f) == severity_decision(np.array(votes), f)


@given(ballots(), st.data())
def test_a_more_severe_vote_never_lowers_the_decision(ballot: tuple[list[int], int], data: st.DataObject) -> None:
    votes, f = ballot
    agent = data.draw(st.integers(0, len(votes) - 1))
    raised = [*votes[:agent], data.draw(st.integers(votes[agent], BLOCK)), *votes[agent + 1 :]]
    assert severity_decision(np.array(raised), f) >= severity_decision(np.array(votes), f)


@given(ballots())
def test_fewer_liars_to_stand_never_lowers_the_decision(ballot: tuple[list[int], int]) -> None:
    votes, f = ballot
    decisions = [severity_decision(np.array(votes), k) for k in range(f + 1)]
    assert decisions == sorted(decisions, reverse=True)


@pytest.mark.parametrize("shape", [(), (1,), (0,), (5,), (2, 3), (2, 1, 4), (2, 0)])
@pytest.mark.parametrize("n", [1, 4, 7, 10])
@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", "int64"])
def test_numpy_torch_and_one_ballot_at_a_time_agree(shape: tuple[int, ...], n: int, dtype: str) -> None:
    votes = np.random.default_rng(n).integers(0, 4, (*shape, n)).astype(dtype)
    f = tolerated(n)
    before = votes.copy()
    with_numpy = severity_decision(votes, f)
    with_torch = severity_decision(torch.from_numpy(votes), f)
    assert isinstance(with_torch, torch.Tensor)
    assert tuple(with_torch.shape) == np.shape(with_numpy) == shape
    assert not with_torch.dtype.is_floating_point
    assert np.issubdtype(np.asarray(with_numpy).dtype, np.integer)
    one_by_one = [definition(ballot, f) for ballot in votes.reshape(-1, n).tolist()]
    assert np.asarray(with_numpy).flatten().tolist() == one_by_one
    assert with_torch.flatten().tolist() == one_by_one
    assert np.array_equal(votes, before)


def test_a_team_of_one_decides_as_it_votes() -> None:
    assert severity_decision(np.array([[level] for level in LEVELS]), 0).tolist() == list(LEVELS)
    assert len(ACTIONS) == len(LEVELS)


@pytest.mark.parametrize("n", range(1, 11))
def test_as_many_liars_are_tolerated_as_pease_shostak_and_lamport_allow(n: int) -> None:
    assert 3 * tolerated(n) + 1 <= n < 3 * (tolerated(n) + 1) + 1


@pytest.mark.parametrize(("n", "f"), [(1, 1), (3, 1), (4, 2), (6, 2), (4, -1), (10, 4)])
def test_refuses_more_liars_than_fit(n: int, f: int) -> None:
    with pytest.raises(ValueError, match=f"f = {f} liars do not fit n = {n} agents"):
        severity_decision(np.zeros((2, n), np.int64), f)
    with pytest.raises(ValueError, match="do not fit"):
        severity_decision(torch.zeros(2, n, dtype=torch.int64), f)


def test_refuses_a_team_of_nobody() -> None:
    with pytest.raises(ValueError, match="at least one agent"):
        severity_decision(np.zeros((2, 0), np.int64), 0)
    with pytest.raises(ValueError, match="at least one agent"):
        tolerated(0)


def test_needs_neither_torch_nor_numpy() -> None:
    """The agreement protocol uses it in processes that have no use for either."""
    code = "import sys, custodes.bft.votes; print(sorted({'torch', 'numpy'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
