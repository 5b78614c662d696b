"""Kill and stop the replicas of a live team at random, then hold what they said against what they kept.

    python -m benchmarks.bft_chaos --kills 50 --stops 20 [--n 4] [--k 100] [--seed S] [--json]

Four (n) processes over TCP decide made-up batches, durably, while replicas are killed (kill -9) and started again, or
stopped and continued; at most f are away at once, except when all are killed at once. Everything that any replica
receives is captured. Checked at the end:

- no key signed two statements that do not go together, in all traffic of all replicas and all lives;
- every batch that any replica acknowledged (printed) stands in the journals of all, with the same decisions, and each
  batch stands once in each journal, in order; no replica acknowledged a batch twice;
- every start worked by itself, and every replica ended with exit code 0.

Exits 1 on a violation.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import random
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, final

from benchmarks.bft_traffic import Traffic
from custodes.bft.ballots import decode_payload
from custodes.bft.cluster.journal import read_entries
from custodes.bft.cluster.local import LocalTeam, Replica
from custodes.bft.errors import BftError
from custodes.bft.keys import TEAM_FILE
from custodes.bft.teamfile import load_team_file
from custodes.bft.votes import tolerated

PATIENCE: Final = 120.0
"""Seconds for a team to go on, or a replica to catch up."""


@final
@dataclass(kw_only=True)
class Found:
    """What happened, and what was wrong."""

    kills: int = 0
    """Processes killed."""
    all_at_once: int = 0
    """How often all were killed at once (each process counts in `kills` as well)."""
    stops: int = 0
    """Processes stopped and continued."""
    restarts: int = 0
    """Processes started again."""
    frames: int = 0
    """Frames captured."""
    statements: int = 0
    """Different signed statements in them, each verified."""
    acknowledged: int = 0
    """Different batches that were printed."""
    journaled: list[int] = field(default_factory=list)
    """Batches in each journal."""
    seconds: float = 0.0
    """How long the team was under load."""
    violations: list[str] = field(default_factory=list)
    """What must not be."""


@final
class Chaos:
    """One run.

    Args:
        team: The team, running.
        quiet: Options of a replica that has no votes of its own.
        seed: Of all choices; the moments depend on the machine as well.
        found: To be filled.
        traffic: To be fed.
    """

    def __init__(self, team: LocalTeam, quiet: tuple[str, ...], seed: int, found: Found, traffic: Traffic) -> None:
        self._quiet = quiet
        self._team, self._found, self._traffic = team, found, traffic
        self._random = random.Random(seed)
        self._seen: dict[Replica, int] = {}
        self._printed: list[dict[int, str]] = [{} for _ in range(team.n)]

    def run(self, kills: int, stops: int) -> None:
        """Kill and stop so often, in a random order."""
        turns = ["stop"] * stops
        left = kills
        while left:
            # About one turn in ten kills all at once.
            together = left >= self._team.n and self._random.random() < 0.1
            turns.append("all" if together else "kill")
            left -= self._team.n if together else 1
        if kills >= self._team.n and "all" not in turns:
            turns = turns[: -self._team.n] if turns[-1] == "kill" else turns
            turns.append("all")
        self._random.shuffle(turns)
        for turn in turns:
            time.sleep(self._random.uniform(0.05, 1.0))
            if turn == "stop":
                self._stop(self._some())
            else:
                self._kill(list(range(self._team.n)) if turn == "all" else self._some()[:1])

    def settle(self) -> None:
        """End all, then let them catch up with each other without new votes, and end them again."""
        self._end()
        self._team.options = self._quiet
        for index in range(self._team.n):
            self._team.restart(index)
        for replica in self._team.replicas:
            replica.wait_for("ready")
        end, still = time.monotonic() + PATIENCE, 0
        # What was proposed before the end may still be decided: wait until nothing more comes, and all are even.
        while still < 15:
            time.sleep(0.1)
            before = self._tops()
            self._read()
            tops = self._tops()
            still = still + 1 if tops == before and len(set(tops)) == 1 else 0
            if time.monotonic() > end:
                raise BftError(f"replicas did not catch up within {PATIENCE:.0f} s: told up to {tops}")
        self._end()

    def _end(self) -> None:
        for index, code in enumerate(self._team.stop()):
            if code != 0:
                self._found.violations.append(f"replica {index} ended with exit code {code}")
        self._read()
        for index in range(self._team.n):
            self._check_capture(index)

    def _tops(self) -> list[int]:
        return [max(told, default=-1) for told in self._printed]

    def check(self) -> None:
        """Hold all together."""
        found = self._found
        self._traffic.finish()
        found.frames, found.statements = self._traffic.frames, self._traffic.statements
        found.violations += self._traffic.faults
        journals = [self._journal(index) for index in range(self._team.n)]
        found.journaled = [len(journal) for journal in journals]
        acknowledged: dict[int, str] = {}
        for index, told in enumerate(self._printed):
            for batch, digest in told.items():
                if acknowledged.setdefault(batch, digest) != digest:
                    found.violations.append(f"replica {index} acknowledged other decisions on batch {batch}")
        found.acknowledged = len(acknowledged)
        for index, journal in enumerate(journals):
            for batch, digest in acknowledged.items():
                if journal.get(batch) != digest:
                    found.violations.append(f"batch {batch} was acknowledged and is not so in journal {index}")

    def _some(self) -> list[int]:
        f = tolerated(self._team.n)
        return self._random.sample(range(self._team.n), self._random.randint(1, f))

    def _kill(self, indices: Sequence[int]) -> None:
        for index in indices:
            self._team.replicas[index].signal(signal.SIGKILL)
        for index in indices:
            self._team.replicas[index].end()
        self._read()
        self._found.kills += len(indices)
        self._found.all_at_once += len(indices) > 1
        time.sleep(self._random.uniform(0.0, 0.8))
        for index in indices:
            self._check_capture(index)
            self._team.restart(index)
            self._found.restarts += 1
        last = max(self._tops())
        for index in indices:
            self._team.replicas[index].wait_for("ready")
        for index in indices:
            # It is counted as there only when it follows again: at most f are ever away.
            self._wait(index, last + 1)

    def _stop(self, indices: Sequence[int]) -> None:
        for index in indices:
            self._team.replicas[index].signal(signal.SIGSTOP)
        time.sleep(self._random.uniform(0.1, 2.5))
        for index in indices:
            self._team.replicas[index].signal(signal.SIGCONT)
            self._found.stops += 1
        self._read()
        last = max(self._tops())
        for index in indices:
            self._wait(index, last + 1)

    def _wait(self, index: int, batch: int) -> None:
        """Until a replica has told of a batch, or is past it."""
        end = time.monotonic() + PATIENCE
        replica = self._team.replicas[index]
        while max(self._printed[index], default=-1) < batch:
            if replica.process.poll() is not None:
                raise BftError(
                    f"replica {index} ended with exit code {replica.process.returncode}{replica.last_words()}"
                )
            if time.monotonic() > end:
                raise BftError(f"replica {index} did not get to batch {batch} within {PATIENCE:.0f} s")
            time.sleep(0.02)
            self._read()

    def _read(self) -> None:
        """Take what was printed since; nothing may be told twice."""
        for index, replica in enumerate(self._team.replicas):
            # Its thread goes on appending, so rows are only looked at.
            rows = replica.rows[self._seen.get(replica, 0) :]
            self._seen[replica] = self._seen.get(replica, 0) + len(rows)
            for row in rows:
                if "batch" not in row:
                    continue
                if row["batch"] in self._printed[index]:
                    self._found.violations.append(f"replica {index} acknowledged batch {row['batch']} twice")
                self._printed[index][row["batch"]] = row["digest"]

    def _check_capture(self, index: int) -> None:
        """Read the traffic of a life that has ended, and drop it: a long run's would fill the disk."""
        path = self._team.folder / f"capture-{index}-{self._team.lives[index] - 1}"
        if path.exists():
            self._traffic.read(path)
            path.unlink()

    def _journal(self, index: int) -> dict[int, str]:
        decided: dict[int, str] = {}
        height = 0
        for entry in read_entries(self._team.state(index) / "journal"):
            if entry.root.height != height + 1:
                self._found.violations.append(f"journal {index}: height {entry.root.height} after {height}")
            height = entry.root.height
            for ballot in decode_payload(entry.block.payload, self._team.n):
                if ballot.batch != len(decided):
                    self._found.violations.append(f"journal {index}: batch {ballot.batch} after {len(decided) - 1}")
                decided[ballot.batch] = hashlib.sha256(ballot.decisions).hexdigest()[:16]
        return decided


def run_chaos(folder: Path, *, n: int, k: int, kills: int, stops: int, seed: int) -> Found:
    """Run one in a folder."""
    found = Found()
    # The journal must hold the whole run, so that all of it can be checked.
    quiet = ("--output", "digests", "--timeout", "0.5", "--keep", "65536")
    team = LocalTeam(folder, n, (*quiet, "--synthetic", str(k)), capture=True)
    traffic = Traffic(team=load_team_file(folder / TEAM_FILE).team)
    begin = time.monotonic()
    chaos = Chaos(team, quiet, seed, found, traffic)
    try:
        with team:
            chaos.run(kills, stops)
            chaos.settle()
            found.seconds = round(time.monotonic() - begin, 1)
    except BftError as error:
        found.violations.append(str(error))
    chaos.check()
    return found


def main(args: Sequence[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--stops", type=int, default=20)
    parser.add_argument("--n", type=int, default=4)
    parser.add_argument("--k", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="use this empty folder, and leave it")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args(args)
    with tempfile.TemporaryDirectory(prefix="custodes-chaos-") as folder:
        place = given.keep or Path(folder)
        found = run_chaos(place, n=given.n, k=given.k, kills=given.kills, stops=given.stops, seed=given.seed)
    row: dict[str, Any] = {"n": given.n, "k": given.k, "seed": given.seed, **vars(found)}
    if given.json:
        print(json.dumps(row, indent=2))
    else:
        for name, value in row.items():
            if name != "violations":
                print(f"{name}: {value}")
        for line in found.violations[:20]:
            print(f"VIOLATION: {line}")
        print("violations:", len(found.violations))
    return 1 if found.violations else 0


if __name__ == "__main__":
    sys.exit(main())
