"""The example on a file of one's own runs, at a small size."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).parents[2] / "examples" / "own_data.py"


@pytest.mark.slow
def test_it_trains_and_scores(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(EXAMPLE)],
        env={**os.environ, "CUSTODES_EXAMPLE_DECISIONS": "9000", "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert [line.split()[0] for line in lines] == ["team", "random", "trees", "The"]
    folder = Path(lines[-1].removeprefix("The run is in "))
    assert (folder / "checkpoints" / "last.safetensors").is_file()
    assert tmp_path in folder.parents
    trees = re.search(r"F1 ([\d.]+)", lines[2])
    assert trees is not None
    assert float(trees[1]) > 0.1
