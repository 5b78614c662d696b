"""One small recording for all tests."""

from __future__ import annotations

import pytest

from custodes.data.dataset import Dataset
from custodes.doctor.origin import read_recording
from tests.doctor.origin.recording import small_recording


@pytest.fixture(scope="session")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """Not to be changed."""
    return read_recording(str(small_recording(tmp_path_factory.mktemp("origin"))))
