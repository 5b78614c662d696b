"""One vote, one decision: scalar, vectorised, in the environments, and recomputed by replicas."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from custodes.bft.ballots import recompute
from custodes.bft.messages import Column
from custodes.bft.team import Team
from custodes.bft.votes import severity_decision, tolerated
from custodes.env.lanes import Lanes
from custodes.env.table import EnvTable
from custodes.env.triage import TriageConfig, TriageEnv


def definition(votes: list[int], f: int) -> int:
    """By ranks: Alert and Quarantine by the (f+1)-th largest vote, Block by the (2f+1)-th."""
    ranked = sorted(votes, reverse=True)
    return 3 if ranked[2 * f] == 3 else min(ranked[f], 2)


def recomputed(votes: list[list[int]], missing: list[bool]) -> list[int]:
    n = len(missing)
    team = Team(chain="x", epoch=0, keys=tuple(bytes([agent + 1]) * 32 for agent in range(n)))
    blank = Column(agent=0, batch=0, items_digest=bytes(32), severities=b"", scores=b"", model=bytes(32), signature=b"")
    columns = tuple(
        None if missing[agent] else replace(blank, agent=agent, severities=bytes(row[agent] for row in votes))
        for agent in range(n)
    )
    return list(recompute(columns, len(votes), team))


def played(votes: list[list[int]]) -> list[int]:
    """The decisions of the training environment on the same votes, one event a lane."""
    rows, n = len(votes), len(votes[0])
    ones = np.ones(rows, dtype=np.int64)
    places = np.arange(rows, dtype=np.int64)
    lanes = Lanes(order=places, start=places, length=ones, terminated=ones.astype(np.bool_), successor=places)
    table = EnvTable.from_numpy(np.ones((rows, 1), dtype=np.float32), np.zeros(rows), agents=n)
    env = TriageEnv(table, lanes, TriageConfig(lanes="rows", slots=rows), f=tolerated(n), seed=0)
    env.reset()
    return [int(each) for each in env.step(torch.tensor(votes)).decision]


@given(
    st.integers(4, 10).flatmap(
        lambda n: st.tuples(
            st.lists(st.lists(st.integers(0, 3), min_size=n, max_size=n), min_size=1, max_size=12),
            st.lists(st.booleans(), min_size=n, max_size=n),
        )
    )
)
@settings(deadline=None, max_examples=60)
def test_the_same_votes_are_the_same_decision_everywhere(case: tuple[list[list[int]], list[bool]]) -> None:
    votes, missing = case
    f = tolerated(len(missing))
    # A missing vote is Allow.
    votes = [[0 if missing[agent] else vote for agent, vote in enumerate(row)] for row in votes]
    expected = [definition(row, f) for row in votes]
    assert severity_decision(np.array(votes), f).tolist() == expected
    assert severity_decision(torch.tensor(votes), f).tolist() == expected
    assert [int(severity_decision(np.array(row), f)) for row in votes] == expected
    assert recomputed(votes, missing) == expected
    assert played(votes) == expected
