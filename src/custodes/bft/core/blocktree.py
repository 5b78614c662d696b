"""The blocks that are not yet committed, as a tree on the last committed one, and a window of those before it."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, final

from custodes.bft.core.events import Root

if TYPE_CHECKING:
    from custodes.bft.messages import Block, Qc


@final
class BlockTree:
    """Blocks connected to the last committed block, by identifier.

    Every block in the tree has its parent in it (or the root as parent) and the height after its parent's. Blocks are
    stored parents first, so that one pass over the dictionary visits them in an order that never meets a child first.

    Args:
        root: The last committed block.
        history: Committed blocks kept.
        limit: Most uncommitted blocks kept.
    """

    __slots__ = ("_blocks", "_history", "_history_limit", "_limit", "_order", "root")

    def __init__(self, root: Root, history: int, limit: int) -> None:
        self.root = root
        self._blocks: dict[bytes, Block] = {}
        self._history: dict[bytes, Block] = {}
        self._order: deque[bytes] = deque()
        self._history_limit = history
        self._limit = limit

    def __len__(self) -> int:
        return len(self._blocks)

    def __contains__(self, name: bytes) -> bool:
        return name in self._blocks or name == self.root.block

    def get(self, name: bytes) -> Block | None:
        """An uncommitted block."""
        return self._blocks.get(name)

    def find(self, name: bytes) -> Block | None:
        """An uncommitted block or one of the window of committed ones."""
        return self._blocks.get(name) or self._history.get(name)

    def height(self, name: bytes) -> int:
        """Height of a block in the tree."""
        return self.root.height if name == self.root.block else self._blocks[name].height

    def view(self, name: bytes) -> int:
        """View of a block in the tree."""
        return self.root.view if name == self.root.block else self._blocks[name].view

    def insert(self, name: bytes, block: Block, keep: bytes) -> bool:
        """Adds a block whose parent is in the tree; False when its height or view does not follow its parent's.

        When the tree is full, the oldest leaf that is not an ancestor of `keep` (nor it) goes.
        """
        if block.height != self.height(block.parent) + 1 or block.view <= self.view(block.parent):
            return False
        if len(self._blocks) >= self._limit:
            self._evict(keep, block.parent)
        self._blocks[name] = block
        return True

    def chain(self, tip: bytes) -> list[Block]:
        """The uncommitted blocks up to `tip` (included), oldest first; `tip` must be in the tree."""
        chain = []
        name, blocks, root = tip, self._blocks, self.root.block
        while name != root:
            block = blocks[name]
            chain.append(block)
            name = block.parent
        chain.reverse()
        return chain

    def busy(self) -> bool:
        """Says whether an uncommitted block decides something."""
        return any(block.payload for block in self._blocks.values())

    def commit(self, name: bytes, chain: list[Block]) -> None:
        """Makes the last block of `chain` (uncommitted ancestors first, `name` its identifier) the root."""
        block = chain[-1]
        self.root = Root(block=name, height=block.height, view=block.view)
        names = [ancestor.parent for ancestor in chain[1:]] + [name]
        for each in names:
            self._history[each] = self._blocks.pop(each)
            self._order.append(each)
        while len(self._order) > self._history_limit:
            del self._history[self._order.popleft()]
        kept: dict[bytes, Block] = {}
        for other, candidate in self._blocks.items():
            if candidate.parent == name or candidate.parent in kept:
                kept[other] = candidate
        self._blocks = kept

    def _evict(self, keep: bytes, parent: bytes) -> None:
        held = {parent, keep}
        for tip in (keep, parent):
            if tip in self:
                held.update(block.parent for block in self.chain(tip))
        held.update(block.parent for block in self._blocks.values())
        victim = next((name for name in self._blocks if name not in held), None)
        if victim is not None:
            del self._blocks[victim]


def proofs(path: list[Block], qc: Qc) -> list[tuple[tuple[Block, ...], Qc]]:
    """What proves each block of a committed path: the descendants up to the first pair of consecutive views.

    Args:
        path: Blocks, each the parent of the next; the last two have consecutive views.
        qc: Certificate of the last one.

    Returns:
        For each block but the last: (its descendants up to the end of the first pair, the certificate of the last of
        them).
    """
    result: list[tuple[tuple[Block, ...], Qc]] = []
    end = len(path) - 1
    for at in range(len(path) - 2, -1, -1):
        if path[at + 1].view == path[at].view + 1:
            end = at + 1
        certificate = path[end + 1].qc if end + 1 < len(path) else qc
        result.append((tuple(path[at + 1 : end + 1]), certificate))
    result.reverse()
    return result
