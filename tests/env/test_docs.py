from __future__ import annotations

import re
from pathlib import Path

import pytest

from custodes.env.check import RULES
from custodes.env.lanes import PROCESS_ENDS
from custodes.env.probes import PROBES, make_probe

PAGE = (Path(__file__).parents[2] / "docs" / "environments.md").read_text(encoding="utf-8")


EXAMPLES = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)


def test_both_tasks_have_a_worked_example() -> None:
    for task in ("TriageEnv(", "ResponseEnv("):
        assert any(task in example for example in EXAMPLES), task


@pytest.mark.parametrize("example", EXAMPLES, ids=range(len(EXAMPLES)))
def test_the_worked_examples_run(example: str) -> None:
    exec(compile(example, "environments.md", "exec"), {})


@pytest.mark.parametrize("name", list(PROBES))
def test_probes_are_described_with_their_numbers(name: str) -> None:
    (row,) = re.findall(rf"^\| `{name}` \|.*\|$", PAGE, flags=re.MULTILINE)
    best, uniform = (cell.strip().split(" = ")[-1] for cell in row.strip("|").split("|")[-2:])
    probe = make_probe(name)
    assert float(best) == pytest.approx(probe.optimum, abs=5e-4)
    assert (probe.optimum if uniform == "same" else float(uniform)) == pytest.approx(probe.uniform, abs=5e-4)


@pytest.mark.parametrize("name", [*sorted(RULES), *sorted(PROCESS_ENDS)])
def test_names_are_on_the_page(name: str) -> None:
    assert f"`{name}`" in PAGE
