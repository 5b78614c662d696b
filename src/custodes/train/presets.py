"""Presets: complete settings by name, shipped as TOML inside the package."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import resources
from typing import TYPE_CHECKING, Any

from custodes.errors import CustodesError
from custodes.train.settings import apply_overrides, did_you_mean, from_table, parse_toml

if TYPE_CHECKING:
    from custodes.train.config import RunConfig

DEFAULT = "quick"
"""The preset of a bare `custodes train`: needs no data and takes minutes."""


def preset_names() -> tuple[str, ...]:
    """The names of all presets, sorted."""
    folder = resources.files("custodes") / "presets"
    return tuple(sorted(item.name.removesuffix(".toml") for item in folder.iterdir() if item.name.endswith(".toml")))


def preset_table(name: str) -> dict[str, Any]:
    """A preset as nested tables, as its file has it.

    Args:
        name: One of `preset_names()`.

    Returns:
        The tables, with `preset` set to the name.

    Raises:
        CustodesError: No preset has that name; the message lists those there are.
    """
    names = preset_names()
    if name not in names:
        known = f"known: {', '.join(names)}"
        near = did_you_mean(name, names)
        raise CustodesError(
            f"unknown preset '{name}'", where="--preset", fix=known if near == known else f"{near} ({known})"
        )
    text = (resources.files("custodes") / "presets" / f"{name}.toml").read_text(encoding="utf-8")
    return {"preset": name, **parse_toml(text, f"preset {name}")}


def load_preset(name: str, overrides: Sequence[str] = ()) -> RunConfig:
    """A preset's settings, with some of them changed.

    Args:
        name: One of `preset_names()`.
        overrides: `a.b=value` each, applied in order.

    Returns:
        The settings.

    Raises:
        CustodesError: Unknown preset or key, wrong type, or out of range.
    """
    # Only here: the settings of the learner pull in torch, which `data` commands need not wait for.
    from custodes.train.config import RunConfig

    return from_table(apply_overrides(preset_table(name), overrides), RunConfig)
