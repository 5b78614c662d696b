"""What docs/bft.md promises of the code as a whole: the tests that it names, who may sign, what is not used."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import custodes.bft

ROOT = Path(__file__).parents[2]
SOURCES = Path(custodes.bft.__file__).parent
AGREE = (
    "core",
    "safety/rules.py",
    "safety/safety.py",
    "ballots.py",
    "containment.py",
    "evidence.py",
    "verify.py",
    "votes.py",
)
"""What all replicas must compute alike."""
NAMED = re.compile(r"`(tests/[\w/]+\.py)::(test_\w+)`")


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


def sources(*places: str) -> list[Path]:
    found = [SOURCES / place for place in places]
    return sorted(path for place in found for path in ([place] if place.suffix else place.rglob("*.py")))


def imports(path: Path) -> set[str]:
    names = set()
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def test_every_test_that_the_document_names_exists() -> None:
    named = NAMED.findall((ROOT / "docs" / "bft.md").read_text())
    assert len(set(named)) > 50
    for file, name in named:
        functions = {node.name for node in ast.walk(tree(ROOT / file)) if isinstance(node, ast.FunctionDef)}
        assert name in functions, f"{file} has no {name}"


def test_every_line_of_the_checklist_has_a_test_or_says_why_not() -> None:
    text = (ROOT / "docs" / "bft.md").read_text()
    rows = [line for line in text[text.index("## Reviewer's checklist") :].splitlines() if line.startswith("| ")]
    rows = [row for row in rows if not row.startswith("| Weakness")]
    assert len(rows) == 46
    without = [row for row in rows if not NAMED.search(row)]
    assert [row.split("|")[1].strip() for row in without] == [
        "BLS without proof of possession",
        "throughput at a huge K without latency and n",
    ]


def test_the_stand_in_for_signatures_is_the_simulators_alone() -> None:
    users = [path for path in sources(".") if any("KeyedHash" in name for name in imports(path))]
    assert users
    assert {path.parent.name for path in users} == {"simulator"}


def test_only_the_safety_rules_sign() -> None:
    """Neither the core nor a process holds a key: the one call that signs statements stands behind the rules."""
    calls = [
        path.relative_to(SOURCES).as_posix()
        for path in sources(".")
        if not path.is_relative_to(SOURCES / "simulator")
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "sign"
    ]
    # The others make the certificate of a transport, and remember what the rules had signed.
    assert sorted(calls) == ["cluster/tls.py", "crypto.py", "safety/safety.py"]


def test_no_clock_and_no_chance_in_what_must_agree() -> None:
    paths = sources(*AGREE)
    assert len(paths) > 20
    for path in paths:
        used = {name.split(".")[0] for name in imports(path)}
        assert not used & {"time", "datetime", "random", "secrets", "uuid", "threading", "asyncio", "socket"}, path
        assert "os.urandom" not in path.read_text()


def test_nothing_else_of_custodes_and_no_torch_is_imported() -> None:
    for path in sources("."):
        for name in imports(path):
            assert (
                not name.startswith("custodes") or name.split(".")[:2] == ["custodes", "bft"] or name == "custodes"
            ), path
            assert name.split(".")[0] != "torch", path
