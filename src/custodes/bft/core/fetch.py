"""Fetches missing blocks: which are wanted, from whom, and what has arrived without its ancestors.

Only blocks that a verified certificate names are asked for, so what arrives needs no signature check: its hash is the
check, and f + 1 honest signers of the certificate have the block and had checked its ancestors. The signers are asked
one after the other, a new one each `fetch_delay`, so one that stays silent costs one delay. Nobody can push blocks: an
answer whose first block is not wanted is dropped unread.

Ancestors are walked backwards in batches down to the last committed block. A replica that is further behind than
`orphans` blocks lets go of the newest, commits the oldest leg (the blocks carry the certificates that commit them), and
asks for the rest again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, final

if TYPE_CHECKING:
    from custodes.bft.core.config import ReplicaConfig
    from custodes.bft.messages import Block

WANTED = 16
"""Most blocks asked for at a time."""


@final
class _Want:
    """One missing block."""

    __slots__ = ("attempt", "sources", "view")

    def __init__(self, view: int, sources: tuple[int, ...]) -> None:
        self.view = view
        self.sources = sources
        self.attempt = 0


@final
class Fetcher:
    """Missing blocks and the blocks that wait for them."""

    __slots__ = ("_bytes", "_children", "_config", "_orphans", "_wanted")

    def __init__(self, config: ReplicaConfig) -> None:
        self._config = config
        self._wanted: dict[bytes, _Want] = {}
        self._orphans: dict[bytes, Block] = {}
        self._children: dict[bytes, list[bytes]] = {}
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._orphans)

    @property
    def wanted(self) -> tuple[bytes, ...]:
        """Identifiers of the blocks asked for."""
        return tuple(self._wanted)

    @property
    def full(self) -> bool:
        """Says whether a further block would drive out another."""
        return len(self._orphans) >= self._config.orphans or self._bytes >= self._config.orphan_bytes

    def lowest(self) -> Block:
        """The waiting block nearest to the committed ones (there must be one)."""
        return min(self._orphans.values(), key=lambda block: block.height)

    def orphan(self, name: bytes) -> Block | None:
        """A block that waits for its ancestors."""
        return self._orphans.get(name)

    def want(self, name: bytes, view: int, sources: tuple[int, ...], *, onward: bool = False) -> int | None:
        """Puts a block on the list; returns whom to ask when it is new there.

        Args:
            name: Identifier of a block that is not in the tree.
            view: View of the certificate that names it.
            sources: Signers of that certificate.
            onward: It goes on from blocks that wait here, so it must not be turned away.
        """
        others = tuple(i for i in sources if i != self._config.index)
        if name in self._wanted or not others:
            return None
        if len(self._wanted) >= WANTED and not onward:
            return None
        self._wanted[name] = _Want(view, others)
        return self._source(name)

    def missing(self, name: bytes) -> bytes:
        """The identifier of the first block below `name` (or itself) that has not arrived."""
        while (block := self._orphans.get(name)) is not None:
            name = block.parent
        return name

    def retry(self, floor: int) -> list[tuple[int, bytes]]:
        """Turns to the next source for everything still wanted above view `floor`; returns (whom, what) to ask."""
        for name in [name for name, want in self._wanted.items() if want.view <= floor]:
            del self._wanted[name]
        asked = []
        for name, want in self._wanted.items():
            want.attempt += 1
            asked.append((self._source(name), name))
        return asked

    def got(self, name: bytes) -> tuple[int, tuple[int, ...]] | None:
        """Strikes a block off the list; returns (view, sources) of the wish, None when it was not wanted."""
        want = self._wanted.pop(name, None)
        return None if want is None else (want.view, want.sources)

    def hold(self, name: bytes, block: Block) -> None:
        """Keeps a block until its ancestors arrive; lets the newest go when there are too many."""
        if name in self._orphans:
            return
        self._orphans[name] = block
        self._bytes += len(block.payload)
        self._children.setdefault(block.parent, []).append(name)
        while len(self._orphans) > self._config.orphans or self._bytes > self._config.orphan_bytes:
            newest = max(self._orphans, key=lambda each: self._orphans[each].height)
            self._drop(newest)
            if newest == name:
                break

    def release(self, parent: bytes) -> list[tuple[bytes, Block]]:
        """Takes out the blocks that waited for `parent`."""
        names = self._children.get(parent, [])
        return [(name, self._drop(name)) for name in tuple(names)]

    def prune(self, height: int) -> None:
        """Forgets waiting blocks that can no longer be committed."""
        for name in [name for name, block in self._orphans.items() if block.height <= height]:
            self._drop(name)

    def _source(self, name: bytes) -> int:
        want = self._wanted[name]
        return want.sources[(self._config.index + want.attempt) % len(want.sources)]

    def _drop(self, name: bytes) -> Block:
        block = self._orphans.pop(name)
        self._bytes -= len(block.payload)
        siblings = self._children[block.parent]
        siblings.remove(name)
        if not siblings:
            del self._children[block.parent]
        return block
