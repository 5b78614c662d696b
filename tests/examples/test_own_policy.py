"""The example of a foreign policy runs in seconds and is scored beside the baselines."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

EXAMPLE = Path(__file__).parents[2] / "examples" / "own_policy.py"


def test_it_is_scored_beside_the_baselines() -> None:
    done = subprocess.run(
        [sys.executable, str(EXAMPLE)],
        env={**os.environ, "CUSTODES_EXAMPLE_EVENTS": "10000"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = re.findall(r"^(\S+) +score +(-?[\d.]+) ", done.stdout, re.MULTILINE)
    scores = {name: float(score) for name, score in found}
    assert list(scores) == ["own", "alert-all", "block-all", "event-kind", "oracle"]
    assert scores["oracle"] == 1.0
    assert scores["own"] < 1.0
