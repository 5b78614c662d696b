"""Imports point down only. The rows are those of the design; a package that has no row here fails the test."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src" / "custodes"
ROWS = (
    ("stl", "bft", "data"),
    ("rl", "env"),
    ("team",),
    ("evaluate", "doctor"),
    ("train",),
    ("report", "serve"),
    ("cli",),
)
ROW = {package: number for number, packages in enumerate(ROWS) for package in packages}
ALONE = ("stl", "bft")
"""Import nothing else of custodes, so that each is useful by itself."""
TORCHLESS = ("data", "bft")
LEAVES = {"": (), "errors": (), "interface": ("data", *ALONE)}
"""Modules beside the packages ("" is custodes/__init__.py), and which packages may not import them."""


def imports(file: Path, root: Path) -> Iterator[tuple[int, str]]:
    """Every module that a file imports, with its line: at any depth, under TYPE_CHECKING, relative or by name."""
    package = ("custodes", *file.relative_to(root).parent.parts)
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else ()
            base = ".".join((*above, *((node.module,) if node.module else ())))
            # `from custodes import data` names a module. `custodes.data.load` for a function in one does no harm.
            yield from ((node.lineno, f"{base}.{alias.name}") for alias in node.names)
        elif isinstance(node, ast.Call):
            name = getattr(node.func, "attr", getattr(node.func, "id", ""))
            first = node.args[0] if node.args else None
            if name in ("import_module", "__import__") and isinstance(first, ast.Constant):
                yield node.lineno, str(first.value)


def wrong_arrows(root: Path) -> list[str]:
    """Every import that the layers forbid, as "file:line imports module"."""
    wrong = []
    for file in sorted(root.rglob("*.py")):
        parts = file.relative_to(root).parts
        home = parts[0].removesuffix(".py") if len(parts) > 1 else ""
        if parts == ("__main__.py",):
            home = "cli"  # `python -m custodes` is the command line.
        elif len(parts) == 1 and parts[0].removesuffix(".py") not in ("__init__", *LEAVES):
            wrong.append(f"{'/'.join(parts)} has no row")
        if home and home not in ROW:
            wrong.append(f"{'/'.join(parts)} has no row")
            continue
        for line, module in imports(file, root):
            if not allowed(home, module, root):
                wrong.append(f"{'/'.join(parts)}:{line} imports {module}")
    return wrong


def allowed(home: str, module: str, root: Path) -> bool:
    """Whether a package ("" for the modules beside the packages) may import a module."""
    parts = module.split(".")
    if parts[0] != "custodes":
        return parts[0] != "torch" or home not in TORCHLESS
    target = parts[1] if len(parts) > 1 else ""
    if target == home and home:
        return True
    if target in LEAVES or not ((root / target).is_dir() or target in ROW):
        return home not in (*LEAVES.get(target, ()), *ALONE)
    return target in ROW and ROW.get(home, -1) > ROW[target]


def test_imports_point_down() -> None:
    assert wrong_arrows(SOURCE) == []


def test_every_package_is_seen() -> None:
    assert {path.parent.name for path in SOURCE.glob("*/__init__.py")} <= set(ROW)
    assert sum(1 for file in SOURCE.rglob("*.py") for _ in imports(file, SOURCE)) > 50


@pytest.mark.parametrize(
    ("file", "line"),
    [
        ("data/reader.py", "from custodes.train.config import RunConfig"),
        ("data/reader.py", "import torch"),
        ("data/reader.py", "from torch.nn import functional"),
        ("data/reader.py", "from custodes.interface import Step"),
        ("data/reader.py", "from ..train import loop"),
        ("data/reader.py", "from .. import bft"),
        ("data/reader.py", "def late():\n    import custodes.env.lanes"),
        ("data/reader.py", "if TYPE_CHECKING:\n    from custodes import team"),
        ("data/reader.py", "importlib.import_module('custodes.team')"),
        ("bft/votes.py", "from custodes.errors import CustodesError"),
        ("bft/votes.py", "import custodes"),
        ("bft/votes.py", "import torch"),
        ("stl/parse.py", "from custodes.data import load"),
        ("stl/parse.py", "from custodes import __version__"),
        ("rl/ppo.py", "from custodes.env.triage import TriageEnv"),
        ("env/triage.py", "import custodes.rl.config"),
        ("evaluate/run.py", "from custodes.train import loop"),
        ("report/page.py", "from custodes.cli import main"),
        ("report/page.py", "from custodes.serve import score"),
        ("__init__.py", "from custodes.data import load"),
        ("errors.py", "from custodes.data import load"),
        ("unheard_of/x.py", "import os"),
        ("unheard_of.py", "import os"),
        ("cli/x.py", "import custodes.unheard_of.x"),
    ],
)
def test_a_wrong_arrow_is_found(tmp_path: Path, file: str, line: str) -> None:
    place = tmp_path / file
    place.parent.mkdir(exist_ok=True)
    place.write_text(line + "\n", encoding="utf-8")
    (tmp_path / "unheard_of").mkdir(exist_ok=True)
    assert len(wrong_arrows(tmp_path)) == 1


@pytest.mark.parametrize(
    ("file", "line"),
    [
        ("cli/train.py", "from custodes.train import loop"),
        ("__main__.py", "from custodes.cli import main"),
        ("train/loop.py", "from custodes import __version__"),
        ("train/loop.py", "from .config import RunConfig"),
        ("rl/ppo.py", "from custodes.interface import Step"),
        ("data/reader.py", "from custodes.errors import CustodesError"),
        ("env/triage.py", "import torch"),
    ],
)
def test_a_right_arrow_passes(tmp_path: Path, file: str, line: str) -> None:
    place = tmp_path / file
    place.parent.mkdir(exist_ok=True)
    place.write_text(line + "\n", encoding="utf-8")
    assert wrong_arrows(tmp_path) == []


def loads_torch(code: str) -> bool:
    done = subprocess.run(
        [sys.executable, "-c", f"import sys\n{code}\nprint('torch' in sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.split()[-1] == "True"


@pytest.mark.parametrize("package", TORCHLESS)
def test_a_torchless_package_loads_no_torch(package: str) -> None:
    modules = sorted(
        ".".join(("custodes", *file.relative_to(SOURCE).with_suffix("").parts))
        for file in (SOURCE / package).rglob("*.py")
        if file.name != "__init__.py"
    )
    assert modules
    assert not loads_torch(f"import custodes.{package}, {', '.join(modules)}")


def test_the_torch_check_can_fail() -> None:
    assert loads_torch("import custodes.interface")
