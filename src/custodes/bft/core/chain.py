"""What a replica knows of the chain: blocks, the highest certificate, what is committed, what has to be fetched.

Commit rule (two-chain): a certificate of block b' in view v + 1 whose parent b is of view v commits b and its
ancestors, oldest first. Every block that enters the tree brings the certificate of its parent, so a replica that
catches up commits by the same rule, block by block, from the blocks alone.

Why what is fetched needs no signature check: its identifier is named by a verified certificate, or by a block so named,
and covers the digests of the certificates inside; a quorum voted for it, so an honest replica has checked them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, final

from custodes.bft import statements
from custodes.bft.core.blocktree import BlockTree, proofs
from custodes.bft.core.events import Deliver, Root, Timer
from custodes.bft.core.fetch import Fetcher
from custodes.bft.messages import Block, Blocks, Fetch, Qc

if TYPE_CHECKING:
    from custodes.bft.core.application import Application
    from custodes.bft.core.config import ReplicaConfig
    from custodes.bft.core.outbox import Outbox
    from custodes.bft.team import Team


@final
class Chain:
    """Blocks and certificates of one replica. Certificates are given to it verified."""

    __slots__ = ("_application", "_config", "_fetcher", "_out", "_team", "commits", "conflict", "high_qc", "tree")

    def __init__(self, config: ReplicaConfig, team: Team, application: Application, out: Outbox, root: Root) -> None:
        self._config = config
        self._team = team
        self._application = application
        self._out = out
        self._fetcher = Fetcher(config)
        self.tree = BlockTree(root, config.history, config.uncommitted)
        self.high_qc = statements.genesis_qc(team)
        self.commits = 0
        self.conflict = False
        """Two certified chains were seen: more than f replicas lied."""

    @property
    def orphans(self) -> int:
        """Blocks that wait for their ancestors."""
        return len(self._fetcher)

    @property
    def wanted(self) -> tuple[bytes, ...]:
        """Blocks that were asked for and have not arrived."""
        return self._fetcher.wanted

    def add(self, name: bytes, block: Block) -> list[bytes]:
        """Takes a block whose certificate is verified, or that a verified one names.

        Returns:
            Identifiers of the blocks that are now connected, parents first; the block itself waits when its parent is
            missing, which is then asked for.
        """
        if name in self.tree or self._fetcher.orphan(name) is not None or self._outdated(block):
            return []
        if block.parent in self.tree:
            return self._connect(name, block)
        self._fetcher.hold(name, block)
        self._seek(block.qc)
        return []

    def certify(self, qc: Qc) -> bool:
        """Takes a verified certificate; True when it is the highest so far."""
        if qc.view <= self.high_qc.view:
            return False
        self.high_qc = qc
        if qc.block in self.tree:
            self._commit_by(qc)
        else:
            self._seek(qc)
        return True

    def blocks(self, sender: int, answer: Blocks) -> list[bytes]:
        """Takes an answer: the block that was asked for and ancestors of it, each named by the one before."""
        if not answer.blocks:
            return []
        first = statements.block_id(self._team, answer.blocks[0])
        wish = self._fetcher.got(first)
        if wish is None:
            return []
        view, sources = wish
        expected, connected = first, list[bytes]()
        for block in answer.blocks:
            if statements.block_id(self._team, block) != expected:
                self._out.refuse(sender, "answer with blocks that do not follow each other")
                break
            if self._outdated(block):
                break
            if block.parent in self.tree:
                connected = self._connect(expected, block)
                break
            self._fetcher.hold(expected, block)
            expected = block.parent
        if not connected:
            self._continue(sender, first, view, sources, full=len(answer.blocks) >= self._config.fetch_batch)
        self._seek(self.high_qc)
        return connected

    def answer(self, sender: int, fetch: Fetch) -> None:
        """Answers a question for blocks, as far as they are known."""
        found: list[Block] = []
        size, name = 0, fetch.block
        while len(found) < min(fetch.limit, self._config.fetch_batch):
            block = self.tree.find(name) or self._application.lookup(name)
            if block is None or block.height <= fetch.floor:
                break
            size += len(block.payload)
            if found and size > self._config.answer_bytes:
                break
            found.append(block)
            name = block.parent
        if found:
            self._out.send(sender, Blocks(blocks=tuple(found)))

    def retry(self) -> None:
        """Asks other replicas for what has not arrived."""
        for to, name in self._fetcher.retry(self.tree.root.view):
            self._ask(to, name)

    def _outdated(self, block: Block) -> bool:
        root = self.tree.root
        if block.view > root.view and block.qc.view >= root.view:
            if block.qc.view > root.view or block.parent == root.block:
                return False
            # Two different blocks certified in one view.
            self.conflict = True
        return True

    def _connect(self, name: bytes, block: Block) -> list[bytes]:
        connected: list[bytes] = []
        queue = [(name, block)]
        while queue:
            name, block = queue.pop()
            if block.parent not in self.tree or not self.tree.insert(name, block, self.high_qc.block):
                continue
            connected.append(name)
            self._fetcher.got(name)
            self._commit_by(block.qc)
            queue.extend(self._fetcher.release(name))
        if self.high_qc.block in connected:
            self._commit_by(self.high_qc)
        return connected

    def _commit_by(self, qc: Qc) -> None:
        """Commits what the certificate of a block in the tree commits: the parent, when the views are consecutive."""
        child = self.tree.get(qc.block)
        if child is None or child.qc.view != child.view - 1 or child.parent == self.tree.root.block:
            return
        path = self.tree.chain(child.parent)
        self.tree.commit(child.parent, path)
        self._fetcher.prune(self.tree.root.height)
        self.commits += len(path)
        for block, (descendants, certificate) in zip(path, proofs([*path, child], qc), strict=True):
            self._application.commit(block)
            self._out.add(Deliver(block=block, descendants=descendants, qc=certificate))

    def _seek(self, qc: Qc) -> None:
        """Asks for what is missing below a certified block; when there is no more room, only for the oldest leg."""
        if qc.block in self.tree or qc.view <= self.tree.root.view:
            return
        if self._fetcher.full:
            # Its certificate names the parent, so it says as well who has it.
            qc = self._fetcher.lowest().qc
        missing = self._fetcher.missing(qc.block)
        to = self._fetcher.want(missing, qc.view, qc.signers, onward=self._fetcher.full)
        if to is not None:
            self._ask(to, missing)

    def _continue(self, sender: int, first: bytes, view: int, sources: tuple[int, ...], *, full: bool) -> None:
        missing = self._fetcher.missing(first)
        if missing == first:
            return
        to = self._fetcher.want(missing, view, sources, onward=True)
        if to is not None:
            # Whoever answers in full is asked on; one that drips blocks is left for the next in turn.
            self._ask(sender if full else to, missing)

    def _ask(self, to: int, name: bytes) -> None:
        floor = self.tree.root.height
        self._out.send(to, Fetch(block=name, floor=floor, limit=self._config.fetch_batch))
        self._out.timer(Timer.FETCH, 0, self._config.fetch_delay)
