"""Copies of a joint state: what can change is copied, what cannot is shared."""

from __future__ import annotations

import io
import pickle
from dataclasses import is_dataclass
from typing import Any, Final, final

from custodes.bft.crypto import KeyedHashCrypto, KeyedHashSigner

_SHARED: Final = (KeyedHashCrypto, KeyedHashSigner)
"""Stateless classes that are not dataclasses."""
_LONG: Final = 16
"""Bytes from which on a byte string is shared."""
_KNOWN: dict[type, bool] = {}
"""Which classes are shared, as far as it was asked; a question for every object that is copied."""


@final
class Snapshot:
    """A value as it was, to be made anew as often as needed.

    Frozen dataclasses (messages, certificates, states, records) are never copied, which makes this several times
    faster than pickling alone: a replica holds many of them.

    Args:
        value: Anything that can be pickled.
    """

    __slots__ = ("_data", "_kept")

    def __init__(self, value: Any) -> None:
        buffer = io.BytesIO()
        pickler = _Pickler(buffer)
        pickler.dump(value)
        self._data = buffer.getvalue()
        self._kept = pickler.kept

    def make(self) -> Any:
        """A copy."""
        unpickler = pickle.Unpickler(io.BytesIO(self._data))
        # A method of a subclass would do the same in Python code, three hundred times per copy.
        setattr(unpickler, "persistent_load", self._kept.__getitem__)  # noqa: B010 (a checker takes it for a method)
        return unpickler.load()


class _Pickler(pickle.Pickler):
    def __init__(self, buffer: io.BytesIO) -> None:
        super().__init__(buffer, protocol=pickle.HIGHEST_PROTOCOL)
        self.kept: list[Any] = []
        self._places: dict[int, int] = {}

    def persistent_id(self, value: Any) -> int | None:
        # Asked of every object, so the usual answer comes first: plain values are not shared.
        kind = type(value)
        if not (_KNOWN[kind] if kind in _KNOWN else _immutable(kind)) or (kind is bytes and len(value) < _LONG):
            return None
        place = self._places.get(id(value))
        if place is None:
            place = self._places[id(value)] = len(self.kept)
            self.kept.append(value)
        return place


def _immutable(kind: type) -> bool:
    """Whether values of a class are shared; remembered."""
    frozen = is_dataclass(kind) and kind.__dataclass_params__.frozen  # type: ignore[attr-defined]
    known = _KNOWN[kind] = kind is bytes or kind in _SHARED or frozen
    return known
