"""Cutting a rollout into sequences for one fused call of the recurrent core.

A rollout [T, B] is divided into units of `chunk` consecutive steps of one slot. A unit is cut again wherever a lane
begins inside it, each piece starts from its true state (the stored one, or zero where a lane begins), and the pieces
are padded to the longest. So gradients flow through at most `chunk` steps, no state crosses a lane, and the core runs
once.

Pieces are contiguous in time: reshaping a (time, slot) array to chunks the wrong way round puts steps t, t + n, t + 2n
... into one "sequence", a defect that has shipped elsewhere (research/marl.md 2.3); test_sequences pins the order.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class Sequences:
    """P padded pieces of at most K steps that hold n steps in all. Steps are numbered t * B + slot."""

    index: Tensor
    """int64 [K, P]: the step at each place; padding repeats the piece's first step."""
    place: Tensor
    """int64 [n]: where in the flattened [K * P] each of `steps` stands."""
    steps: Tensor
    """int64 [n]: the steps, piece by piece, in time order within a piece."""
    chunk: Tensor
    """int64 [P]: which stored state the piece starts from (row of [T / chunk])."""
    slot: Tensor
    """int64 [P]: whose."""
    fresh: Tensor
    """bool [P]: the piece begins a lane, so its start state is zero."""


def chunk_starts(steps: int, chunk: int) -> range:
    """The steps at which states are stored: 0, chunk, 2 chunk, ... below `steps`; chunk 0 is the whole rollout."""
    return range(0, steps, chunk or steps)


def cut(begins: Tensor, units: Tensor, chunk: int) -> Sequences:
    """Sequences of the given units.

    Args:
        begins: Bool [T, B]: the step is the first of a lane.
        units: int64 [U], each number c * B + slot for the unit that starts at step c * chunk of that slot.
        chunk: Steps per unit; 0 is the whole rollout. The last unit of a slot is shorter when chunk does not divide T.
    """
    T, B = begins.shape
    size = min(chunk or T, T)
    first_step, slot = (units // B) * size, units % B
    offset = torch.arange(size, device=begins.device)
    time = first_step[None] + offset[:, None]  # [size, U]
    inside = time < T
    step = time.clamp(max=T - 1) * B + slot[None]
    starts = begins.flatten()[step] & inside
    fresh_at_start = starts[0].clone()
    starts[0] = True
    # Pieces are numbered unit by unit, so that a unit's pieces stand side by side.
    number = starts.t().flatten().cumsum(0).view(-1, size).t() - 1  # [size, U]
    pieces = int(number[-1, -1]) + 1
    piece_start = torch.where(starts, offset[:, None], 0).cummax(0).values
    within = offset[:, None] - piece_start
    keep = inside.t().flatten()
    piece = number.t().flatten()[keep]
    row = within.t().flatten()[keep]
    steps = step.t().flatten()[keep]
    longest = int(row.max()) + 1
    opening = starts.t().flatten()
    index = step.t().flatten()[opening][None].repeat(longest, 1)
    place = row * pieces + piece
    index.view(-1)[place] = steps
    later = (offset > 0)[None].expand(len(units), size).flatten()[opening]
    owner = torch.arange(len(units), device=begins.device)[:, None].expand(len(units), size).flatten()[opening]
    return Sequences(
        index=index,
        place=place,
        steps=steps,
        chunk=units[owner] // B,
        slot=slot[owner],
        fresh=later | fresh_at_start[owner],
    )
