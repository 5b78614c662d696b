"""Shared fixtures."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch
from hypothesis import settings

# CI must not flicker, neither by new examples (people find those) nor by a machine that is slow for a moment.
settings.register_profile("ci", derandomize=True, deadline=None)
if os.environ.get("CI"):
    settings.load_profile("ci")
torch.set_num_threads(1)  # Networks of tests are small: more threads only wait for each other.


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of the real recordings; they carry no licence, so they live beside the checkout and never in it."""
    folder = Path(os.environ.get("CUSTODES_DATA", Path(__file__).parents[2] / "shared" / "data"))
    if not (folder / "darpa-tc-e5-trace.parquet").is_file():
        told = f"no recordings in {folder} (set CUSTODES_DATA)"
        if os.environ.get("CUSTODES_REQUIRE_DATA"):
            pytest.fail(told)
        pytest.skip(told)
    return folder
