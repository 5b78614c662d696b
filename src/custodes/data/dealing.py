"""Deal weighted items, such as blocks or processes, to parts of given shares."""

from __future__ import annotations

from typing import Final

import numpy as np

_STRATUM: Final = 20
_SWAPS: Final = 50
_CANDIDATES: Final = 512


def number_blocks(stream: np.ndarray, length: int) -> np.ndarray:
    """Number contiguous runs of at most `length` rows that stay within a stream; `stream` is sorted."""
    starts = np.flatnonzero(np.diff(stream, prepend=-1))
    within = np.arange(len(stream)) - np.repeat(starts, np.diff(np.append(starts, len(stream))))
    return np.cumsum(within % length == 0) - 1


def loose_order(value: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Indices by falling value, shuffled within runs of `_STRATUM`, so that the seed matters and strata stay alike."""
    order = np.lexsort((rng.random(len(value)), -value))
    run = np.arange(len(value)) // _STRATUM
    shuffled: np.ndarray = order[np.lexsort((rng.random(len(value)), run))]
    return shuffled


def deal(weight: np.ndarray, order: np.ndarray, fractions: np.ndarray, held: np.ndarray) -> np.ndarray:
    """Give each item in turn to the part that lacks the most of its share of the weight dealt so far.

    A part with a share that would stay without any item gets the lightest of the part that has most items.

    Args:
        weight: Weight of each item, [K], at least 0.
        order: Items in the order of dealing, int [K].
        fractions: Share of each part, [3].
        held: Weight that the parts hold before, [3]; brought up to date in place.

    Returns:
        Part of each item, int8 [K].
    """
    side = np.zeros(len(weight), np.int8)
    total = float(held.sum())
    for item in order:
        total += float(weight[item])
        lack = np.where(fractions > 0, fractions * total - held, -np.inf)
        side[item] = int(np.argmax(lack))
        held[side[item]] += weight[item]
    for part in np.flatnonzero(fractions > 0):
        count = np.bincount(side, minlength=len(fractions))
        if count[part] or count.max() < 2:
            continue
        owned = np.flatnonzero(side == np.argmax(count))
        lightest = owned[np.argmin(weight[owned])]
        held[side[lightest]] -= weight[lightest]
        held[part] += weight[lightest]
        side[lightest] = part
    return side


def level(side: np.ndarray, excess: np.ndarray, size: np.ndarray) -> np.ndarray:
    """Swap blocks of about one size between parts while that brings the parts' threat rates closer to the whole's.

    Args:
        side: Part of each block, int8 [K].
        excess: Threats of each block beyond those that the whole's rate gives it, [K].
        size: Records of each block, [K].

    Returns:
        Part of each block after the swaps, int8 [K].
    """
    side = side.copy()
    for _ in range(_SWAPS):
        total = np.bincount(side, weights=excess, minlength=3)
        high, low = int(np.argmax(total)), int(np.argmin(total))
        givers, takers = np.flatnonzero(side == high)[:_CANDIDATES], np.flatnonzero(side == low)[:_CANDIDATES]
        if not len(givers) or not len(takers):
            break
        # Moving `gain` from the highest to the lowest part is best at half of their difference.
        gain = excess[givers][:, None] - excess[takers][None, :]
        miss = np.abs(gain - (total[high] - total[low]) / 2)
        miss[np.abs(size[givers][:, None] - size[takers][None, :]) > 0.05 * size.max()] = np.inf
        give, take = np.unravel_index(int(np.argmin(miss)), miss.shape)
        if miss[give, take] >= (total[high] - total[low]) / 2:
            break
        side[givers[give]], side[takers[take]] = low, high
    return side
