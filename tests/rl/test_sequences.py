"""Cutting: every step once, in time order, never across a lane, from its true state."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from custodes.rl.sequences import chunk_starts, cut


@settings(max_examples=80, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    T=st.integers(1, 20),
    B=st.integers(1, 4),
    chunk=st.sampled_from([0, 1, 3, 7, 16, 50]),
    rate=st.sampled_from([0.0, 0.2, 1.0]),
)
def test_pieces_are_contiguous_runs_of_one_lane(seed: int, T: int, B: int, chunk: int, rate: float) -> None:
    g = torch.Generator().manual_seed(seed)
    begins = torch.rand(T, B, generator=g) < rate
    units = torch.randperm(len(chunk_starts(T, chunk)) * B, generator=g)
    found = cut(begins, units, chunk)
    size = chunk or T
    assert sorted(found.steps.tolist()) == list(range(T * B))
    flat = found.index.flatten()
    assert torch.equal(flat[found.place], found.steps)
    pieces = found.index.shape[1]
    for p in range(pieces):
        steps = [int(s) for s, q in zip(found.steps, found.place, strict=True) if int(q) % pieces == p]
        times, slots = [s // B for s in steps], {s % B for s in steps}
        assert slots == {int(found.slot[p])}
        assert times == list(range(times[0], times[0] + len(times)))
        assert len({t // size for t in times}) == 1
        assert not any(bool(begins[t, steps[0] % B]) for t in times[1:])
        assert bool(found.fresh[p]) == bool(begins[times[0], steps[0] % B])
        assert int(found.chunk[p]) == times[0] // size
        if not found.fresh[p]:
            assert times[0] % size == 0


def test_a_subset_of_units_holds_only_their_steps() -> None:
    begins = torch.zeros(8, 2, dtype=torch.bool)
    found = cut(begins, torch.tensor([2]), 4)
    assert found.steps.tolist() == [8, 10, 12, 14]
    assert found.index.t().tolist() == [[8, 10, 12, 14]]


def test_time_is_not_interleaved() -> None:
    """T=8, chunk 4 must give times 0..3 and 4..7, not 0 2 4 6 (the reshape defect)."""
    found = cut(torch.zeros(8, 1, dtype=torch.bool), torch.tensor([0, 1]), 4)
    assert found.index.t().tolist() == [[0, 1, 2, 3], [4, 5, 6, 7]]
