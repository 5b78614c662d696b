from __future__ import annotations

from pathlib import Path

import pytest

from custodes.bft.cluster.local import free_ports
from custodes.bft.cluster.setup import generate_cluster

pytest.importorskip("cryptography")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A team of four with keys and certificates."""
    place = tmp_path / "team"
    generate_cluster(place, chain="test", addresses=tuple(f"127.0.0.1:{port}" for port in free_ports(4)))
    return place
