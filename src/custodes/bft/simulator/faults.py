"""Puts a broken piece in the place of a sound one, everywhere in the protocol, and takes it out again."""

from __future__ import annotations

import importlib
import pkgutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, final

import custodes.bft


@final
class Patches:
    """Replacements that are in force until `undo`."""

    def __init__(self) -> None:
        self._undone: list[Callable[[], None]] = []

    def attribute(self, owner: Any, name: str, value: Any) -> None:
        """Replace an attribute of a class or module."""
        before = owner.__dict__[name]
        setattr(owner, name, value)
        self._undone.append(lambda: setattr(owner, name, before))

    def everywhere(self, function: Any, value: Any) -> None:
        """Replace a function or class in every module of the protocol that has imported it by name."""
        for module in _protocol():
            for name, known in list(vars(module).items()):
                if known is function:
                    self.attribute(module, name, value)

    def call(self, undo: Callable[[], None]) -> None:
        """Have something else undone."""
        self._undone.append(undo)

    def undo(self) -> None:
        """Take everything back, last first."""
        while self._undone:
            self._undone.pop()()


@contextmanager
def applied(seed: Callable[[Patches], None] | None) -> Iterator[None]:
    """The protocol with a defect seeded, for as long as the context lasts.

    Args:
        seed: Makes the replacements; None for none.
    """
    patches = Patches()
    try:
        if seed is not None:
            seed(patches)
        yield
    finally:
        patches.undo()


def _protocol() -> list[Any]:
    """Every module of `custodes.bft` but those that watch from outside."""
    for found in pkgutil.walk_packages(custodes.bft.__path__, "custodes.bft."):
        if not found.name.startswith(("custodes.bft.simulator", "custodes.bft.cluster")):
            importlib.import_module(found.name)
    watching = ("custodes.bft.simulator", "custodes.bft.cluster")
    return [
        module
        for name, module in sorted(sys.modules.items())
        if name.startswith("custodes.bft") and not name.startswith(watching)
    ]
