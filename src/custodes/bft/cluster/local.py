"""A whole team on this machine: one process per replica on loopback, for trying out, measuring and hurting."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Final, final

from custodes.bft.cluster.setup import generate_cluster
from custodes.bft.errors import BftError
from custodes.bft.keys import TEAM_FILE
from custodes.bft.teamfile import load_team_file

READY_SECONDS: Final = 180.0
"""How long a replica may take to start."""
STOP_SECONDS: Final = 60.0
"""How long a replica may take to end."""


def free_ports(count: int) -> list[int]:
    """Ports on loopback that are free now."""
    with contextlib.ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


@final
class Replica:
    """A replica's process, and what it says.

    Args:
        command: Arguments of the program, after the interpreter.
        log: File for its standard error.
    """

    def __init__(self, command: list[str], log: Path) -> None:
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        with log.open("ab") as errors:
            self.process = subprocess.Popen(
                [sys.executable, *command],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                env=environment,
                start_new_session=True,
            )
        self._log = log
        self.rows: list[dict[str, Any]] = []
        """Every line that it printed so far."""
        self._told: queue.Queue[dict[str, Any] | None] = queue.Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def wait_for(self, key: str, seconds: float = READY_SECONDS) -> dict[str, Any]:
        """The next line with a key.

        Raises:
            BftError: It ended, or took too long.
        """
        end = time.monotonic() + seconds
        while True:
            try:
                row = self._told.get(timeout=max(0.01, end - time.monotonic()))
            except queue.Empty:
                raise BftError(f"a replica said no '{key}' within {seconds:.0f} s{self.last_words()}") from None
            if row is None:
                raise BftError(f"a replica ended before it said '{key}'{self.last_words()}")
            if key in row:
                return row

    def signal(self, number: signal.Signals) -> None:
        """Send a signal; nothing happens where it has ended."""
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(number)

    def end(self, seconds: float = STOP_SECONDS) -> int:
        """Wait for its end; kill it when it takes too long. Returns its exit code."""
        try:
            code = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            code = self.process.wait()
        self._reader.join(seconds)
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):  # What was not read any more is lost with the process.
                    pipe.close()
        return code

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            with contextlib.suppress(ValueError):  # The last line of a killed process may be torn.
                row = json.loads(line)
                self.rows.append(row)
                self._told.put(row)
        self._told.put(None)

    def last_words(self) -> str:
        """The last line on its standard error, after a colon; empty when it said nothing."""
        words = self._log.read_text(errors="replace").strip().splitlines()
        return f": {words[-1]}" if words else ""


@final
class LocalTeam:
    """n replicas on loopback. Use it in a `with` statement; leaving it ends all of them.

    Args:
        folder: Keys, state and logs go here; an existing team there is started again.
        n: Replicas, at least 4.
        options: Options for every replica's `custodes bft run`.
        of_each: More options of one replica, by its index.
        capture: Keep every frame that a replica receives, in a file per life: `capture-<replica>-<life>`.

    Raises:
        BftError: The folder holds a team of another size.
    """

    def __init__(
        self,
        folder: Path,
        n: int,
        options: tuple[str, ...] = (),
        *,
        of_each: Callable[[int], tuple[str, ...]] | None = None,
        capture: bool = False,
    ) -> None:
        self._of_each = of_each
        self.folder, self.n, self.options, self._capture = folder, n, options, capture
        self.replicas: list[Replica] = []
        self.lives = [0] * n
        """How often each replica was started."""
        self._fresh = not (folder / TEAM_FILE).exists()
        if self._fresh:
            addresses = tuple(f"127.0.0.1:{port}" for port in free_ports(n))
            generate_cluster(folder, chain="local", addresses=addresses)
        elif load_team_file(folder / TEAM_FILE).team.n != n:
            raise BftError(f"holds a team that is not of {n}", where=str(folder), fix="choose another folder")

    def __enter__(self) -> LocalTeam:
        """Start every replica and wait until all are ready.

        Raises:
            BftError: One of them does not start.
        """
        try:
            self.replicas = [self._start(index, self._fresh) for index in range(self.n)]
            for replica in self.replicas:
                replica.wait_for("ready")
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """End every replica."""
        self.stop()

    def restart(self, index: int) -> Replica:
        """Start a replica that has ended once more, on the state that it left."""
        replica = self.replicas[index] = self._start(index, False)
        return replica

    def stop(self) -> list[int]:
        """Ask all to end, and wait; returns their exit codes."""
        for replica in self.replicas:
            replica.signal(signal.SIGCONT)
            replica.signal(signal.SIGTERM)
        return [replica.end() for replica in self.replicas]

    def state(self, index: int) -> Path:
        """A replica's folder."""
        return self.folder / f"state-{index}"

    def rows(self) -> Iterator[dict[str, Any]]:
        """What all have said so far."""
        for replica in self.replicas:
            yield from list(replica.rows)

    def _start(self, index: int, fresh: bool) -> Replica:
        command = ["-m", "custodes", "bft", "run", "--team", str(self.folder / TEAM_FILE), "--index", str(index)]
        if self._of_each is not None:
            command += self._of_each(index)
        if self._capture:
            command += ["--capture", str(self.folder / f"capture-{index}-{self.lives[index]}")]
        self.lives[index] += 1
        command += ["--state", str(self.state(index)), *(["--fresh"] if fresh else []), *self.options]
        return Replica(command, self.folder / f"replica-{index}.log")
