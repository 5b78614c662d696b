"""A trained team's decisions through real replicas: `python -m benchmarks.team_replay RUN [--data PATH] [--json]`.

The team plays a part of its recording as evaluation does. Then as many replicas as it has agents, a process and a key
each, talk over TLS on loopback; each is fed the votes of its own agent, in recorded order, K events a batch. What they
commit has to be what the offline play decided, at every replica, and every decision needs a certificate that holds.

In the response task what an agent may vote depends on what was decided before (an alert is open, a benign verdict
stands). So each event is voted on once for each of these three states, and the state that the committed decisions have
led to picks one: votes need not wait for the decisions before them. What was committed is then replayed, with verdicts
and tree effects, and has to come to the outcome of the offline replay.

With --shield the votes are the unmasked ones, one for each event, and the actions have to be those of the shield.

Latency is from handing in a batch to its commit at the same replica, journal included, over all replicas.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from custodes.bft.ballots import Ballot, decode_payload
from custodes.bft.certificates import certificate_fault
from custodes.bft.cluster.journal import read_entries
from custodes.bft.cluster.local import LocalTeam, free_ports
from custodes.bft.crypto import Ed25519Crypto
from custodes.bft.keys import TEAM_FILE
from custodes.bft.team import MIN_REPLICAS
from custodes.bft.teamfile import load_team_file
from custodes.bft.verify import Verifier
from custodes.cli.locate import find_data
from custodes.env.response.replay import MASKS, replay
from custodes.errors import CustodesError
from custodes.evaluate.response.record import in_order
from custodes.team.shield import Shield, read_rules
from custodes.team.shield.ballot import BallotShield
from custodes.team.shield.signals import UNTOLD
from custodes.team.workload import Workload
from custodes.train import checkpoint
from custodes.train.run_folder import open_run
from custodes.train.scoring import load_team, workload_of

PATIENCE = 600.0
"""Seconds within which the replicas have to decide everything."""


class Votes:
    """What the agents vote on, in recorded order.

    Args:
        workload: The run's.
        votes: int8 [M, A, V]: each agent's vote in each of V states.
        decisions: int8 [M, V]: what the offline play decided.
        source: [M]: row of the data set of each event.
    """

    def __init__(
        self,
        workload: Workload,
        votes: NDArray[np.int8],
        decisions: NDArray[np.int8],
        source: NDArray[np.int64],
    ) -> None:
        self.votes, self.decisions = votes, decisions
        self.states = votes.shape[2]
        recording = workload.recording(np.arange(len(workload.dataset)))
        entity = np.empty(len(workload.dataset), dtype=np.uint64)
        entity[recording.source] = recording.forest.entity[recording.rows].astype(np.uint64)
        self.entities = np.repeat(entity[source], self.states)
        times = workload.dataset.events["time"].fill_null(0).to_numpy()[source]
        self.times = np.repeat(np.maximum.accumulate(times), self.states)

    def __len__(self) -> int:
        return len(self.votes)

    def lines(self, agent: int, k: int) -> Iterator[bytes]:
        """An agent's votes as a replica reads them, K events a line."""
        step = k * self.states
        said = self.votes[:, agent].reshape(-1)
        for start in range(0, len(said), step):
            piece = slice(start, start + step)
            row = {
                "entities": self.entities[piece].tolist(),
                "times": self.times[piece].tolist(),
                "severities": said[piece].tolist(),
            }
            yield json.dumps(row, separators=(",", ":")).encode() + b"\n"


def played(path: Path, data: Path | None, part: str, most: int, *, masked: bool) -> tuple[Workload, Votes, Any]:
    """The run's data, what its team voted on the part, and the part as a recording (None in triage)."""
    run = open_run(path)
    workload = workload_of(replace(run, config=replace(run.config, data=find_data(run.config.data, data))))
    file = run.checkpoints / checkpoint.BEST
    team, _ = load_team(run, workload, file if file.exists() else run.checkpoints / checkpoint.LAST)
    if team.policy.agents < MIN_REPLICAS:
        raise CustodesError(
            f"a team of {team.policy.agents} agents stands no liar", where=str(path), fix="train with team.agents=4"
        )
    responds = workload.env.task == "response"
    play = team.play(workload.table, workload.lanes(part), MASKS if responds else None)  # type: ignore[arg-type]
    if not responds:
        order = np.argsort(play.rows)[: most or None]
        votes, decisions = play.votes[order][..., None], play.decisions[order][:, None]
        return workload, Votes(workload, votes, decisions, play.rows[order]), None
    rows = np.sort(play.rows)
    recording = workload.recording(rows)
    if most and most < len(recording.rows):
        recording = replace(recording, rows=recording.rows[:most], source=recording.source[:most])
    kept = np.isin(play.rows, recording.source)
    assert play.votes_by_state is not None
    assert play.decisions_by_state is not None
    said = play.votes_by_state if masked else play.votes_by_state[..., :1]
    done = play.decisions_by_state if masked else play.decisions_by_state[..., :1]
    votes = in_order(recording, play.rows[kept], said[kept])
    decisions = in_order(recording, play.rows[kept], done[kept])
    return workload, Votes(workload, votes, decisions, recording.source), recording


def run_replicas(
    folder: Path, votes: Votes, *, k: int, window: int, durable: bool, shield: str | None
) -> dict[str, Any]:
    """Let the replicas decide everything; figures of speed."""
    agents = votes.votes.shape[1]
    ports = free_ports(agents)
    options = ["--output", "summary", "--window", str(window), "--batches", "1", "--timeout", "4"]
    # Decisions can be those of the offline play only where every vote counts, also on a machine that is busy.
    options += ["--column-delay", "2"]
    options += [] if durable else ["--no-durable"]
    options += [] if shield is None else ["--shield", shield]
    inputs = [b"".join(votes.lines(agent, k)) for agent in range(agents)]
    team = LocalTeam(folder, agents, tuple(options), of_each=lambda index: ("--metrics", str(ports[index])))
    with team:
        _until(lambda: min(_metric(port, "peers") for port in ports) >= agents - 1, "all replicas are connected")
        fed = zip(team.replicas, inputs, strict=True)
        feeders = [Thread(target=_feed, args=each, daemon=True) for each in fed]
        begin = time.monotonic()
        for feeder in feeders:
            feeder.start()
        items = len(votes.entities)
        _until(lambda: min(_metric(port, "decisions_total") for port in ports) >= items, f"{items:,} items are decided")
        team.stop()
        for feeder in feeders:
            feeder.join()
    summaries = [next(row["summary"] for row in replica.rows if "summary" in row) for replica in team.replicas]
    ends = [max(at for at, _, _ in rows) for rows in summaries]
    latencies = sorted(latency for rows in summaries for _, _, latency in rows if latency >= 0)
    seconds = max(ends) - begin
    return {
        "k": k,
        "window": window,
        "durable": durable,
        "events": len(votes),
        "items": len(votes.entities),
        "seconds": round(seconds, 3),
        "events_per_second": round(len(votes) / seconds, 1),
        "p50_ms": round(1_000 * latencies[len(latencies) // 2], 2),
        "p99_ms": round(1_000 * latencies[min(len(latencies) - 1, int(0.99 * len(latencies)))], 2),
    }


def _feed(replica: Any, data: bytes) -> None:
    try:
        replica.process.stdin.write(data)
        replica.process.stdin.close()
    except OSError:
        pass  # It ended; why is in its log, and the decisions that are missing tell.


def _until(reached: Callable[[], bool], what: str) -> None:
    """Wait for something, not for ever."""
    end = time.monotonic() + PATIENCE
    while not reached():
        if time.monotonic() > end:
            raise CustodesError(f"waited {PATIENCE:.0f} s until {what}", fix="try fewer --events")
        time.sleep(0.1)


def _metric(port: int, name: str) -> int:
    """A number that a replica serves; 0 where it has none yet."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        for line in answer.read().decode().splitlines():
            if line.startswith(f"custodes_bft_{name} "):
                return int(float(line.split()[1]))
    return 0


def check(folder: Path, votes: Votes, shield: str | None) -> tuple[dict[str, Any], list[NDArray[np.uint8]]]:
    """What every replica committed, against the offline play, and every certificate."""
    file = load_team_file(folder / TEAM_FILE)
    verifier = Verifier(file.team, Ed25519Crypto(file.team.keys))
    wanted = votes.decisions.reshape(-1).astype(np.uint8)
    certificates = faulty = mismatches = overruled = missing = 0
    committed = []
    for index in range(file.team.n):
        ballots: list[Ballot] = []
        for entry in read_entries(folder / f"state-{index}" / "journal"):
            certificates += 1
            faulty += certificate_fault(entry.certificate, verifier) is not None
            ballots += decode_payload(entry.block.payload, file.team.n)
        missing += sum(column is None for each in ballots for column in each.columns)
        decisions = np.frombuffer(b"".join(each.decisions for each in ballots), dtype=np.uint8)
        mismatches += int((decisions != wanted).sum()) if len(decisions) == len(wanted) else len(wanted)
        committed.append(decisions)
        if shield is not None:
            actions = np.frombuffer(b"".join(each.taken for each in ballots), dtype=np.uint8)
            overruled = int((actions != decisions).sum())
            mismatches += int((actions != shielded(ballots, shield, file.team.f)).sum())
    found = {
        "certificates": certificates,
        "certificates_verified": certificates - faulty,
        "decisions_compared": len(wanted) * file.team.n,
        "missing_votes": missing,
        "mismatches": mismatches,
    }
    return found | ({} if shield is None else {"overruled": overruled}), committed


def shielded(ballots: Sequence[Ballot], specs: str, f: int) -> NDArray[np.uint8]:
    """Actions of the shield, worked out here from what was voted on."""
    guard = BallotShield(Shield(read_rules(specs, untold=UNTOLD)))
    state, actions = guard.begin(), []
    for ballot in ballots:
        judged = guard.judge(state, replace(ballot, guard=b"", actions=b""), f)
        state = judged.state
        actions.append(judged.actions)
    return np.frombuffer(b"".join(actions), dtype=np.uint8)


def same_outcome(workload: Workload, votes: Votes, recording: Any, committed: list[NDArray[np.uint8]]) -> bool:
    """Whether the committed decisions, acted upon, come to what the offline ones do."""
    ours = replay(recording, votes.decisions, workload.costs)
    for decisions in committed:
        theirs = replay(recording, decisions.reshape(votes.decisions.shape).astype(np.int8), workload.costs)
        alike = np.array_equal(ours.fate, theirs.fate) and np.array_equal(ours.contained, theirs.contained)
        if not alike or (ours.blocked, ours.alerts) != (theirs.blocked, theirs.alerts):
            return False
    return True


def measure(
    path: Path,
    data: Path | None = None,
    *,
    part: str = "test",
    events: int = 0,
    k: int = 200,
    windows: Sequence[int] = (1, 8),
    durable: bool = True,
    shield: str | None = None,
) -> dict[str, Any]:
    """Everything: one row for each number of batches in flight."""
    workload, votes, recording = played(path, data, part, events, masked=shield is None)
    rows = []
    for window in windows:
        with tempfile.TemporaryDirectory(prefix="custodes-replay-") as folder:
            row = run_replicas(Path(folder), votes, k=k, window=window, durable=durable, shield=shield)
            found, committed = check(Path(folder), votes, shield)
            if recording is not None and shield is None:
                found["same_outcome"] = same_outcome(workload, votes, recording, committed)
            rows.append(row | found)
    return {
        "dataset": workload.dataset.name,
        "part": part,
        "n": votes.votes.shape[1],
        "votes_per_event": votes.states,
        "shield": shield,
        "rows": rows,
        "ok": all(
            row["mismatches"] == 0
            and row["certificates"] == row["certificates_verified"]
            and row.get("same_outcome", True)
            for row in rows
        ),
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the measurement.

    Returns:
        0; 1 when a decision differs or a certificate does not hold; 2 for input that cannot be used.
    """
    line = argparse.ArgumentParser(prog="python -m benchmarks.team_replay", description=__doc__.splitlines()[0])
    line.add_argument("run", type=Path, help="folder of a run with four agents or more")
    line.add_argument("--data", type=Path, help="recording, or the folder that holds it")
    line.add_argument("--split", default="test", choices=("train", "validation", "test"))
    line.add_argument("--events", type=int, default=0, help="only the first so many events (default: all)")
    line.add_argument("--k", type=int, default=200, help="events of one batch (default: 200)")
    line.add_argument("--window", type=int, action="append", help="batches in flight (default: 1 and 8)")
    line.add_argument("--no-durable", action="store_true", help="do not wait for the disk")
    line.add_argument("--shield", help="rules that overrule votes: default, or a file")
    line.add_argument("--json", action="store_true", help="print one JSON object and nothing else")
    options = line.parse_args(arguments)
    torch.set_num_threads(1)
    try:
        result = measure(
            options.run,
            options.data,
            part=options.split,
            events=options.events,
            k=options.k,
            windows=options.window or (1, 8),
            durable=not options.no_durable,
            shield=options.shield,
        )
    except CustodesError as error:
        print(f"team_replay: {error}", file=sys.stderr)
        return 2
    if options.json:
        print(json.dumps(result))
    else:
        print(f"{result['dataset']}, {result['part']}: n = {result['n']}, {result['votes_per_event']} votes an event")
        for row in result["rows"]:
            print(" ".join(f"{name}={value}" for name, value in row.items()))
        print("ok" if result["ok"] else "FAILS")
    return 0 if result["ok"] else 1


if __name__ == "__main__":
    sys.exit(main())
