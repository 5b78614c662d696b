"""Cutting a rollout into sequences for one fused call of the recurrent core.

A rollout [T, B] is divided into units of `chunk` consecutive steps of one slot; each unit is one sequence that starts
from its stored state. Where a lane begins inside a unit, a separator is put before it: a step without an observation at
which the network forces its state to exactly zero (`Network.forward`). So gradients flow through at most `chunk` steps,
no state and no gradient crosses a lane, the core runs once, and little is padded: a unit is as long as its steps and
separators.

Units are contiguous in time: reshaping a (time, slot) array to chunks the wrong way round puts steps t, t + n, t + 2n
... into one "sequence", a defect that has shipped elsewhere; test_sequences pins the order.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class Sequences:
    """U sequences of at most K places that hold n steps in all. Steps are numbered t * B + slot."""

    index: Tensor
    """int64 [K, U]: the step at each place; at separators and padding the unit's first step stands in."""
    separator: Tensor
    """bool [K, U]: no step stands here (a separator, or padding at the end)."""
    place: Tensor
    """int64 [n]: where in the flattened [K * U] each of `steps` stands."""
    steps: Tensor
    """int64 [n]: the steps, unit by unit within each place."""
    chunk: Tensor
    """int64 [U]: which stored state the unit starts from (row of [T / chunk])."""
    slot: Tensor
    """int64 [U]: whose."""
    fresh: Tensor
    """bool [U]: the unit begins a lane, so its start state is zero."""


Cut = Callable[[Tensor, Tensor, int], Sequences]
"""`cut`, or another one in its place."""


def chunk_starts(steps: int, chunk: int) -> range:
    """The steps at which states are stored: 0, chunk, 2 chunk, ... below `steps`; chunk 0 is the whole rollout."""
    return range(0, steps, chunk or steps)


def start_states(stored: Tensor, sequences: Sequences, network: int) -> Tensor:
    """State [S, U, H] that each sequence starts from, of one network.

    Args:
        stored: Float [C, S, A, B, H], states before each chunk.
        sequences: U of them.
        network: Index along A.
    """
    found = stored[sequences.chunk, :, network, sequences.slot].transpose(0, 1)
    return found * (~sequences.fresh)[None, :, None]


def cut(begins: Tensor, units: Tensor, chunk: int) -> Sequences:
    """Sequences of the given units.

    Args:
        begins: Bool [T, B]: the step is the first of a lane.
        units: int64 [U], each number c * B + slot for the unit that starts at step c * chunk of that slot.
        chunk: Steps per unit; 0 is the whole rollout. The last unit of a slot is shorter when chunk does not divide T.
    """
    T, B = begins.shape
    size = min(chunk or T, T)
    count, slot = len(units), units % B
    time = (units // B) * size + torch.arange(size, device=begins.device)[:, None]  # [size, U]
    inside = time < T
    step = time.clamp(max=T - 1) * B + slot
    starts = begins.flatten()[step]
    fresh = starts[0].clone()
    starts[0] = False
    # Each lane that begins inside the unit pushes what follows one place on.
    row = torch.arange(size, device=begins.device)[:, None] + starts.cumsum(0)
    place = (row * count + torch.arange(count, device=begins.device))[inside]
    steps = step[inside]
    longest = int(row[-1].max()) + 1
    index = step[:1].repeat(longest, 1)
    index.view(-1)[place] = steps
    separator = torch.ones(longest, count, dtype=torch.bool, device=begins.device)
    separator.view(-1)[place] = False
    return Sequences(
        index=index, separator=separator, place=place, steps=steps, chunk=units // B, slot=slot, fresh=fresh
    )
