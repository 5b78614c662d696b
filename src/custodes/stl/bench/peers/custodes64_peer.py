"""custodes on float64, the type that sentil and rtamt compute in."""

from __future__ import annotations

import torch

from custodes.stl.bench.peers.custodes_peer import Custodes


def engine() -> Custodes:
    """For the driver."""
    return Custodes(torch.float64)
