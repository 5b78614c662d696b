"""The exhaustive check of vote rules finds what is known of each, against counting one ballot at a time."""

from __future__ import annotations

from collections import Counter
from itertools import combinations, product
from typing import Any

import numpy as np
import pytest
import torch

from custodes.bft.rules import (
    VOTE_RULES,
    VoteRule,
    check_vote_rule,
    exact_quorum,
    mean_severity,
    plurality,
)
from custodes.bft.votes import ACTIONS, ALERT, ALLOW, BLOCK, QUARANTINE, quorum, severity_decision, tolerated


@pytest.mark.parametrize("n", [4, 5, 6, 7])
def test_the_severity_rule_fails_on_no_ballot(n: int) -> None:
    report = check_vote_rule(severity_decision, n=n)
    assert report.safe, report.sentences()
    assert (report.false_containments, report.suppressions, report.unfounded_blocks, report.lowered) == (0, 0, 0, 0)
    subsets = sum(len(list(combinations(range(n), size))) for size in range(quorum(n), n + 1))
    assert report.ballots == 4**n * subsets * len(list(combinations(range(n), tolerated(n))))
    assert "none fails" in report.sentences()


@pytest.mark.parametrize("name", sorted(VOTE_RULES))
def test_counts_equal_one_ballot_at_a_time(name: str) -> None:
    """The definition, in plain loops, at n = 4."""
    rule, n, f = VOTE_RULES[name], 4, 1
    false = suppressed = unfounded = 0
    for votes in product(range(4), repeat=n):
        for size in range(quorum(n), n + 1):
            for chosen in combinations(range(n), size):
                counted = np.array([vote if agent in chosen else ALLOW for agent, vote in enumerate(votes)])
                decision = int(rule(counted[None], f)[0])
                for liar in range(n):
                    honest = [vote for agent, vote in enumerate(votes) if agent != liar]
                    false += max(honest) <= ALERT and decision >= QUARANTINE
                    suppressed += min(honest) >= QUARANTINE and decision < QUARANTINE
                    unfounded += max(honest) < BLOCK and decision == BLOCK
    report = check_vote_rule(rule, n=n)
    assert (report.false_containments, report.suppressions, report.unfounded_blocks) == (false, suppressed, unfounded)


@pytest.mark.parametrize(("rule", "fails"), [(plurality, "suppression"), (exact_quorum, "suppression")])
@pytest.mark.parametrize("n", [4, 7])
def test_refused_rules_let_liars_suppress(rule: VoteRule, fails: str, n: int) -> None:
    report = check_vote_rule(rule, n=n)
    assert not report.safe
    assert report.suppressions > 0
    assert report.false_containments == 0
    assert any(sentence.startswith(fails) and "(lies)" in sentence for sentence in report.examples)


def test_a_mean_lets_one_liar_contain_and_block() -> None:
    report = check_vote_rule(mean_severity, n=4)
    assert report.false_containments > 0
    assert report.suppressions > 0


def test_a_rule_that_is_not_monotone_is_found() -> None:
    def odd(votes: Any, f: int) -> Any:
        return severity_decision(votes, f) * (votes.sum(-1) % 2)

    report = check_vote_rule(odd, n=4)
    assert report.lowered > 0
    assert "less severe" in report.sentences()


@pytest.mark.parametrize(
    ("rule", "told"),
    [
        (lambda votes, f: votes, r"\[256, 4\], not integers \[256\]"),
        (lambda votes, f: votes.mean(-1), "float64"),
        (lambda votes, f: votes.sum(-1), "0 to 9, not severities"),
    ],
)
def test_what_is_no_rule_is_refused(rule: VoteRule, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        check_vote_rule(rule, n=4)


@pytest.mark.parametrize("n", [0, 3, 8])
def test_sizes_out_of_range_are_refused(n: int) -> None:
    with pytest.raises(ValueError, match="teams of 4 to 7"):
        check_vote_rule(severity_decision, n=n)


def test_a_rule_may_not_see_what_another_call_changed() -> None:
    def vandal(votes: Any, f: int) -> Any:
        decided = severity_decision(votes, f)
        votes[:] = BLOCK
        return decided

    assert check_vote_rule(vandal, n=4).safe


@pytest.mark.parametrize("name", sorted(VOTE_RULES))
def test_rules_agree_over_libraries(name: str) -> None:
    votes = np.stack(np.meshgrid(*[np.arange(4)] * 4, indexing="ij"), axis=-1).reshape(-1, 4)
    with_numpy = VOTE_RULES[name](votes, 1)
    assert torch.as_tensor(VOTE_RULES[name](torch.from_numpy(votes), 1)).tolist() == with_numpy.tolist()
    assert [int(VOTE_RULES[name](ballot, 1)) for ballot in votes] == with_numpy.tolist()


def test_plurality_and_exact_quorum_equal_counting() -> None:
    for votes in product(range(len(ACTIONS)), repeat=4):
        count = Counter(votes)
        most = max(count.values())
        assert plurality(np.array(votes), 1) == min(action for action in count if count[action] == most)
        agreed = [action for action in count if count[action] >= 3]
        assert exact_quorum(np.array(votes), 1) == (agreed[0] if agreed else ALERT)
