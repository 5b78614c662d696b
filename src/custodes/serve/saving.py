"""A team's memory as one file that proves that it is whole."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from custodes.errors import CustodesError
from custodes.train import checkpoint
from custodes.train.atomic import write_atomic

if TYPE_CHECKING:
    from custodes.serve.team import Team

KIND: Final = "serving state 1"
"""What the file is, and its version."""


def save(team: Team, path: Path) -> None:
    """See `Team.save`."""
    scalars = {"kind": KIND, "identity": team.identity, "memory": team.memory()}
    write_atomic(path, checkpoint.encode({"recurrent": team.recurrent}, scalars))


def restore(team: Team, path: Path) -> None:
    """See `Team.restore`."""
    saved = checkpoint.load_file(path)
    if saved.scalars.get("kind") != KIND:
        raise CustodesError("this is no state of a running team", where=str(path), fix="give a file that it saved")
    _check_identity(saved.scalars["identity"], team.identity, str(path))
    try:
        team.recall(saved.scalars["memory"], saved.tensors["recurrent"])
    except (LookupError, TypeError, ValueError) as error:
        raise CustodesError(f"no state of this team: {error}", where=str(path), fix="save it again") from error


def _check_identity(then: dict[str, Any], now: dict[str, Any], where: str) -> None:
    words = {
        "encoder": ("other inputs", "restore it with the run that it was saved with"),
        "policy": ("other networks", "restore it with the run and checkpoint that it was saved with"),
        "rules": ("other rules", "restore it with the same --specs, or start without a state"),
        "limits": ("other limits", "restore it with the limits that it was saved with"),
        "times": ("other times of the response", "restore it with the settings that it was saved with"),
    }
    for key, (what, fix) in words.items():
        if then.get(key) != now[key]:
            raise CustodesError(f"the state is of a team with {what}", where=where, fix=fix)
