"""Four real processes on loopback: they agree, end when told, go on after any end, say what is wrong on one line."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from benchmarks.bft_chaos import run_chaos
from custodes.bft.ballots import decode_payload
from custodes.bft.cluster.journal import read_entries
from custodes.bft.cluster.local import LocalTeam, Replica, free_ports
from custodes.bft.cluster.setup import CERTIFICATES, certificate_name
from custodes.bft.cluster.tls import make_identity
from custodes.bft.keys import TEAM_FILE, key_name

QUICK = ("--output", "digests", "--timeout", "0.5")


def program(*args: object, stdin: str | None = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "custodes", *map(str, args)], input=stdin, capture_output=True, text=True, timeout=300
    )


def told(replica: Replica, key: str = "digest") -> dict[int, Any]:
    return {row["batch"]: row[key] for row in replica.rows if key in row}


def wait_until_told(replica: Replica, batch: int, seconds: float = 240.0) -> None:
    end = time.monotonic() + seconds
    while max(told(replica), default=-1) < batch:
        assert replica.process.poll() is None, replica.last_words()
        assert time.monotonic() < end, f"batch {batch} was not decided; last: {replica.rows[-1:]}"
        time.sleep(0.02)


def journaled(team: LocalTeam, index: int) -> list[int]:
    entries = list(read_entries(team.state(index) / "journal"))
    assert [entry.root.height for entry in entries] == list(range(1, len(entries) + 1))
    return [ballot.batch for entry in entries for ballot in decode_payload(entry.block.payload, team.n)]


def test_a_team_decides_is_killed_and_goes_on(tmp_path: Path) -> None:
    folder = tmp_path / "team"
    team = LocalTeam(folder, 4, ("--synthetic", "30", *QUICK))
    with team:
        for replica in team.replicas:
            wait_until_told(replica, 20)
        first = [replica.rows for replica in team.replicas]
        killed = team.replicas[2]
        killed.signal(signal.SIGKILL)
        assert killed.end() == -signal.SIGKILL
        top = max(told(team.replicas[0]))
        wait_until_told(team.replicas[0], top + 10)
        ready = team.restart(2).wait_for("ready")
        assert ready["ready"] == max(told(killed)) + 1 or ready["ready"] > max(told(killed))
        wait_until_told(team.replicas[2], top + 20)
        assert team.stop() == [0, 0, 0, 0]
    assert all(replica.rows[-1]["stopped"] == max(told(replica)) + 1 for replica in team.replicas)
    # Equal decisions, none twice, none lost: also in what the killed one had said before.
    common: dict[int, str] = {}
    for rows in [replica.rows for replica in team.replicas] + first:
        batches = [row["batch"] for row in rows if "batch" in row]
        assert batches == sorted(set(batches))
        for row in rows:
            if "batch" in row:
                assert common.setdefault(row["batch"], row["digest"]) == row["digest"]
    assert not told(killed).keys() & told(team.replicas[2]).keys()
    for index in range(4):
        batches = journaled(team, index)
        assert batches == list(range(len(batches)))
        assert set(told(team.replicas[index])) <= set(batches)
        assert (folder / f"replica-{index}.log").read_text() == ""
    goes_on_after_an_orderly_end(team)
    shows_certificates(team, tmp_path)
    recovers_journals(team)


def goes_on_after_an_orderly_end(team: LocalTeam) -> None:
    before = [len(journaled(team, index)) for index in range(4)]
    with team:
        for replica, count in zip(team.replicas, before, strict=True):
            assert replica.rows[0]["ready"] == count
            wait_until_told(replica, max(before) + 5)
            assert min(told(replica)) == count


def recovers_journals(team: LocalTeam) -> None:
    """One is lost and fetched again, one is copied from another replica."""
    count = max(len(journaled(team, index)) for index in range(4))
    shutil.rmtree(team.state(2) / "journal")
    shutil.rmtree(team.state(3) / "journal")
    shutil.copytree(team.state(0) / "journal", team.state(3) / "journal")
    with team:
        assert team.replicas[2].rows[0]["ready"] == 0
        assert team.replicas[3].rows[0]["ready"] == len(journaled(team, 0))
        for replica in team.replicas:
            wait_until_told(replica, count + 5)
    assert journaled(team, 2)[: count + 5] == journaled(team, 3)[: count + 5] == list(range(count + 5))


def shows_certificates(team: LocalTeam, tmp_path: Path) -> None:
    path = tmp_path / "decision.cert"
    made = program("bft", "certificate", team.state(1), "--batch", 7, "--out", path)
    assert (made.returncode, made.stderr) == (0, "")
    checked = program("bft", "verify", path, "--team", team.folder / TEAM_FILE, "--json")
    assert checked.returncode == 0, checked.stderr
    assert 7 in [batch["batch"] for batch in json.loads(checked.stdout)["batches"]]
    again = program("bft", "certificate", team.state(1), "--batch", 7, "--out", path)
    assert (again.returncode, again.stderr.count("\n")) == (2, 1)
    missing = program("bft", "certificate", team.state(1), "--batch", 10**9, "--out", tmp_path / "none")
    assert missing.returncode == 2
    assert "is not in the journal" in missing.stderr
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    assert program("bft", "verify", path, "--team", team.folder / TEAM_FILE).returncode == 1


def test_votes_as_lines_and_metrics(tmp_path: Path) -> None:
    ports = free_ports(4)
    team = LocalTeam(tmp_path, 4, ("--timeout", "0.5"), of_each=lambda index: ("--metrics", str(ports[index])))
    lines = [
        {"entities": [1, 2, 3], "times": [10, 20, 30], "severities": [0, 3, 2]},
        {"entities": [4], "times": [40], "severities": [1], "scores": [0.5]},
    ]
    with team:
        for replica in team.replicas:
            assert replica.process.stdin is not None
            replica.process.stdin.write("".join(json.dumps(line) + "\n" for line in lines).encode())
            replica.process.stdin.close()
        for replica in team.replicas:
            assert replica.wait_for("batch")["decisions"] == [0, 3, 2]
            assert replica.wait_for("batch")["decisions"] == [1]
        with urllib.request.urlopen(f"http://127.0.0.1:{ports[0]}/metrics") as answer:
            text = answer.read().decode()
        values = {
            sample.name: sample.value for family in text_string_to_metric_families(text) for sample in family.samples
        }
        assert values["custodes_bft_decisions_total"] == 4
        assert values["custodes_bft_peers"] == 3
        assert values["custodes_bft_height"] >= 1
        assert values["custodes_bft_commit_seconds_count"] == 2


def test_a_bad_line_ends_a_replica_in_order(tmp_path: Path) -> None:
    team = LocalTeam(tmp_path, 4, QUICK)
    with team:
        replica = team.replicas[3]
        assert replica.process.stdin is not None
        replica.process.stdin.write(b'{"entities": [1]}\n')
        replica.process.stdin.flush()
        assert replica.end() == 2
        words = (tmp_path / "replica-3.log").read_text()
        assert words == "custodes: standard input, line 1: not a batch of votes: no 'times'\n"
        assert team.restart(3).wait_for("ready")["ready"] == 0
        replica = team.replicas[3]
        replica.signal(signal.SIGINT)
        assert replica.end() == 0


def test_small_chaos(tmp_path: Path) -> None:
    found = run_chaos(tmp_path, n=4, k=20, kills=3, stops=2, seed=11)
    assert found.violations == []
    assert (found.kills, found.restarts) == (3, 3)
    assert found.stops >= 2
    assert found.acknowledged > 0
    assert found.journaled == [found.acknowledged] * 4
    assert found.statements > found.acknowledged


@pytest.fixture
def options(folder: Path) -> list[object]:
    return ["bft", "run", "--team", folder / TEAM_FILE, "--index", 0, "--state", folder / "state"]


def refused(*args: object, stdin: str | None = "") -> str:
    """The one line of a start that is refused."""
    result = program(*args, stdin=stdin)
    assert (result.returncode, result.stdout) == (2, ""), result
    assert result.stderr.count("\n") == 1
    assert result.stderr.startswith("custodes: ")
    return result.stderr


def test_bad_usage_is_one_line_and_exit_code_2(folder: Path, options: list[object], tmp_path: Path) -> None:
    assert "there is no log" in refused(*options)
    assert not (folder / "state" / "journal").exists()
    shutil.rmtree(folder / "state")
    assert "there is no replica 9" in refused(*options[:5], 9, *options[6:])
    assert "No such file" in refused("bft", "run", "--team", "none.toml", "--index", 0, "--state", tmp_path / "s")
    assert "not the key of replica 0" in refused(*options, "--fresh", "--key", folder / key_name(1))
    assert "--window" in refused(*options, "--window", 0)
    assert "no journal here" in refused("bft", "certificate", tmp_path, "--batch", 0, "--out", tmp_path / "c")
    (folder / CERTIFICATES / certificate_name(2)).write_bytes(make_identity("old").certificate)
    assert "not the certificate that the team file pins" in refused(*options, "--fresh")
    (tmp_path / "file").write_text("")
    assert "file" in refused(*options[:-1], tmp_path / "file" / "state", "--fresh")


def test_ports_in_use(folder: Path, options: list[object]) -> None:
    with socket.socket() as held:
        address = next(line for line in (folder / TEAM_FILE).read_text().splitlines() if "127.0.0.1" in line)
        held.bind(("127.0.0.1", int(address.split(":")[-1].strip(' ",'))))
        held.listen()
        assert "cannot listen" in refused(*options, "--fresh")
        port = held.getsockname()[1]
        assert f"127.0.0.1:{port}: metrics cannot be served" in refused(*options, "--fresh", "--metrics", port)


def test_standard_input_and_output_may_be_closed(options: list[object]) -> None:
    command = [sys.executable, "-m", "custodes", *map(str, options), "--fresh"]
    words = " ".join(f"'{each}'" for each in command)
    process = subprocess.Popen(["bash", "-c", f"exec {words} <&-"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    assert b"ready" in process.stdout.readline()
    process.send_signal(signal.SIGTERM)
    out, errors = process.communicate(timeout=120)
    assert (process.returncode, errors) == (0, b"")
    assert b"stopped" in out
    reader, writer = os.pipe()
    os.close(reader)
    try:
        closed = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=writer, stderr=subprocess.PIPE, timeout=120)
    finally:
        os.close(writer)
    assert closed.stderr == b""
    assert closed.returncode not in (0, 1)
