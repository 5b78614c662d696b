"""custodes on float32, the type that training uses; the peers compute in float64."""

from __future__ import annotations

import torch

from custodes.stl.bench.peers.custodes_peer import Custodes


def engine() -> Custodes:
    """For the driver."""
    return Custodes(torch.float32)
