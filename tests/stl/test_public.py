"""The public names of custodes.stl."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module

import pytest

from custodes import stl


@pytest.mark.parametrize("name", stl.__all__)
def test_every_public_name_is_there(name: str) -> None:
    home = import_module(f"custodes.stl.{stl._MODULE[name]}")
    assert getattr(stl, name) is getattr(home, name)
    assert name in dir(stl)


def test_all_names_are_listed_once() -> None:
    assert sorted(stl._MODULE) == sorted(stl.__all__)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'evalute'"):
        getattr(stl, "evalute")  # noqa: B009


def test_reading_and_watching_need_no_torch() -> None:
    code = (
        "import sys; from custodes import stl; "
        "m = stl.SingleMonitor(stl.parse('G(x > 0)')); m.update(x=1.0); "
        "n = stl.Monitor(stl.parse('G(x > 0)'), streams=2); print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
