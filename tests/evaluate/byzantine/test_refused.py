"""The rules that are refused, against their definition, and what a liar does to them."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from custodes.bft.votes import ALLOW, BLOCK, severity_decision
from custodes.evaluate.byzantine.refused import RULES, USED, confidence_weighted


@given(st.integers(1, 7), st.integers(0, 10_000))
def test_confidence_weighted_equals_its_definition(n: int, seed: int) -> None:
    draw = np.random.default_rng(seed)
    votes = draw.integers(0, 4, (3, 2, n))
    # Quarters, so that sums are exact and ties happen.
    confidence = draw.integers(0, 5, votes.shape) / 4
    got = confidence_weighted(votes, confidence, 0)
    for place in np.ndindex(3, 2):
        sums = [0.0] * 4
        for vote, sure in zip(votes[place], confidence[place], strict=True):
            sums[vote] += float(sure)
        assert got[place] == sums.index(max(sums))


def test_the_first_rule_is_the_one_that_is_used() -> None:
    votes = np.random.default_rng(0).integers(0, 4, (50, 3, 4))
    assert next(iter(RULES)) == USED
    assert (RULES[USED](votes, np.ones(votes.shape), 1) == severity_decision(votes, 1)).all()


def test_one_liar_turns_what_is_refused() -> None:
    sure, unsure = 1.0, 0.3
    allowing = np.array([[BLOCK, ALLOW, ALLOW, ALLOW]])
    assert RULES["confidence-weighted"](allowing, np.array([[sure, unsure, unsure, unsure]]), 1) == BLOCK
    assert RULES[USED](allowing, np.ones((1, 4)), 1) == ALLOW
    split = np.array([[ALLOW, BLOCK, BLOCK, BLOCK - 1]])
    assert RULES["exact-quorum"](split, np.ones((1, 4)), 1) < BLOCK - 1
    assert RULES[USED](split, np.ones((1, 4)), 1) == BLOCK - 1
