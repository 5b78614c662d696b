"""Cutting: every step once, in time order, never across a lane, from its true state."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from custodes.rl.networks import Network
from custodes.rl.sequences import chunk_starts, cut


@settings(max_examples=80, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    T=st.integers(1, 20),
    B=st.integers(1, 4),
    chunk=st.sampled_from([0, 1, 3, 7, 16, 50]),
    rate=st.sampled_from([0.0, 0.2, 1.0]),
)
def test_units_are_contiguous_and_lanes_are_separated(seed: int, T: int, B: int, chunk: int, rate: float) -> None:
    g = torch.Generator().manual_seed(seed)
    begins = torch.rand(T, B, generator=g) < rate
    units = torch.randperm(len(chunk_starts(T, chunk)) * B, generator=g)
    found = cut(begins, units, chunk)
    size = chunk or T
    assert sorted(found.steps.tolist()) == list(range(T * B))
    assert torch.equal(found.index.flatten()[found.place], found.steps)
    assert not bool(found.separator.flatten()[found.place].any())
    assert int(found.separator.sum()) == found.separator.numel() - T * B
    for u in range(len(units)):
        shown = [(int(i), bool(s)) for i, s in zip(found.index[:, u], found.separator[:, u], strict=True)]
        times = [i // B for i, s in shown if not s]
        assert {i % B for i, s in shown if not s} == {int(found.slot[u])}
        assert times == list(range(times[0], times[0] + len(times)))
        assert times[0] == int(found.chunk[u]) * size
        assert bool(found.fresh[u]) == bool(begins[times[0], int(found.slot[u])])
        # A separator stands before each step but the first that begins a lane, and nowhere else until the padding.
        last = max(k for k, (_, s) in enumerate(shown) if not s)
        for k in range(1, last + 1):
            if shown[k][1]:
                assert not shown[k + 1][1]
                assert bool(begins.flatten()[shown[k + 1][0]])
            elif bool(begins.flatten()[shown[k][0]]):
                assert shown[k - 1][1]


@pytest.mark.parametrize("core", ["lstm", "gru"])
@pytest.mark.parametrize("chunk", [1, 5, 0])
def test_outputs_and_gradients_equal_a_loop_that_resets_the_state(core: str, chunk: int) -> None:
    """In float64, against one step at a time: no state and no gradient crosses the beginning of a lane."""
    T, B, D, H = 13, 3, 2, 4
    g = torch.Generator().manual_seed(0)
    network = Network(inputs=D, encoder=3, hidden=H, core=core, actions=2, values=1).double()
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, generator=g)
    x = torch.randn(T, B, D, generator=g, dtype=torch.float64)
    begins = torch.rand(T, B, generator=g) < 0.25
    weight = torch.randn(T * B, H, generator=g, dtype=torch.float64)
    size, parts = chunk or T, 2 if core == "lstm" else 1
    outputs, stored = [], []
    for b in range(B):
        state = torch.randn(parts, 1, H, generator=g, dtype=torch.float64)
        for t in range(T):
            if t % size == 0:
                state = state.detach()
                stored.append(state)
            if bool(begins[t, b]):
                state = torch.zeros_like(state)
            y, state = network(x[t, b][None, None], state)
            outputs.append(y[0, 0])
    looped = torch.stack(outputs).view(B, T, H).transpose(0, 1).reshape(T * B, H)
    (looped * weight).sum().backward()  # type: ignore[no-untyped-call]
    wanted = [p.grad.clone() for p in network.parameters() if p.grad is not None]
    network.zero_grad()

    units = torch.randperm(len(chunk_starts(T, chunk)) * B, generator=g)
    found = cut(begins, units, chunk)
    starts = torch.stack(stored).view(B, -1, parts, H)[found.slot, found.chunk].transpose(0, 1)
    fused, _ = network(x.flatten(0, 1)[found.index], starts * (~found.fresh)[None, :, None], found.separator)
    fused = fused.flatten(0, 1)[found.place]
    torch.testing.assert_close(fused, looped[found.steps], rtol=1e-12, atol=1e-12)
    (fused * weight[found.steps]).sum().backward()
    got = [p.grad for p in network.parameters() if p.grad is not None]
    assert len(got) == len(wanted)
    for one, other in zip(got, wanted, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-10)


def test_a_subset_of_units_holds_only_their_steps() -> None:
    begins = torch.zeros(8, 2, dtype=torch.bool)
    found = cut(begins, torch.tensor([2]), 4)
    assert found.steps.tolist() == [8, 10, 12, 14]
    assert found.index.t().tolist() == [[8, 10, 12, 14]]


def test_time_is_not_interleaved() -> None:
    """T=8, chunk 4 must give times 0..3 and 4..7, not 0 2 4 6 (the reshape defect)."""
    found = cut(torch.zeros(8, 1, dtype=torch.bool), torch.tensor([0, 1]), 4)
    assert found.index.t().tolist() == [[0, 1, 2, 3], [4, 5, 6, 7]]
