"""`custodes bft keygen` and `custodes bft verify` as a user meets them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from custodes.bft.ballots import encode_payload
from custodes.bft.certificates import encode_certificate, make_certificate
from custodes.bft.evidence import EvidencePool, encode_proof
from custodes.bft.teamfile import Member, format_team_file, load_team_file, make_team_file
from custodes.cli import bft_keys
from custodes.errors import CustodesError
from tests.bft.material import material

M = material()


def command(*args: object) -> tuple[int, str]:
    """Run one of the two commands: exit code and standard output, or 2 and the one line of a refusal."""
    app = typer.Typer()
    app.command("keygen")(bft_keys.keygen)
    app.command("verify")(bft_keys.verify)
    result = CliRunner().invoke(app, [str(arg) for arg in args])
    if isinstance(result.exception, CustodesError):
        return 2, str(result.exception)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.stdout


@pytest.fixture
def team(tmp_path: Path) -> Path:
    members = tuple(
        Member(public_key=key, address=f"host:{index + 1}", certificate=None) for index, key in enumerate(M.team.keys)
    )
    path = tmp_path / "team.toml"
    path.write_text(format_team_file(make_team_file("test", 3, members)))
    return path


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    blocks = M.chain(2, encode_payload((M.ballot(30, missing=(2,)),)))
    path = tmp_path / "decision.cert"
    path.write_bytes(encode_certificate(make_certificate(M.team, blocks, M.qc(blocks[-1]))))
    return path


def as_json(*args: object) -> tuple[int, dict[str, Any]]:
    code, out = command(*args, "--json")
    assert out.count("\n") == 1
    value = json.loads(out)
    assert isinstance(value, dict)
    return code, value


def test_a_certificate_that_holds(team: Path, certificate: Path) -> None:
    code, found = as_json("verify", certificate, "--team", team)
    ballot = M.ballot(30, missing=(2,))
    assert code == 0
    assert (found["valid"], found["reason"], found["chain"], found["epoch"]) == (True, None, "test", 3)
    assert found["quorum_certificates"] == [{"view": 1, "signers": [0, 1, 2]}, {"view": 2, "signers": [0, 1, 2]}]
    (batch,) = found["batches"]
    assert (batch["batch"], batch["agents"]) == (0, [0, 1, 3])
    names = ["Allow", "Alert", "Quarantine", "Block"]
    assert [item["decision"] for item in batch["items"]] == [names[level] for level in ballot.decisions]
    code, out = command("verify", certificate, "--team", team)
    assert code == 0
    assert out.startswith("The certificate holds. Chain test, epoch 3, block ")
    for part in ("Quorum certificate of view 2: replicas 0, 1, 2", "Batch 0: 30 items (", "The 20 most severe:"):
        assert part in out


def test_a_certificate_that_does_not_hold(team: Path, certificate: Path) -> None:
    data = bytearray(certificate.read_bytes())
    data[-1] ^= 1
    certificate.write_bytes(bytes(data))
    code, found = as_json("verify", certificate, "--team", team)
    assert code == 1
    assert found == {
        "kind": "decision",
        "valid": False,
        "reason": "the payload is not that of the decided block",
    }
    code, out = command("verify", certificate, "--team", team)
    assert (code, out) == (1, "The certificate does not hold: the payload is not that of the decided block.\n")


def test_another_teams_certificate_does_not_hold(team: Path, certificate: Path) -> None:
    team.write_text(team.read_text().replace("epoch = 3", "epoch = 4"))
    code, out = command("verify", certificate, "--team", team)
    assert code == 1
    assert "it is of chain 'test', epoch 3, not of this team" in out


def test_a_proof_names_the_liar(team: Path, tmp_path: Path) -> None:
    block, other = M.chain(2)[1], M.chain(2, b"x")[1]
    pool = EvidencePool(M.team)
    pool.vote(M.vote(block, 3))
    proof = pool.vote(M.vote(other, 3))
    assert proof is not None
    path = tmp_path / "proof"
    path.write_bytes(encode_proof(proof))
    assert command("verify", path, "--team", team) == (0, "The proof holds: replica 3 lied (double-vote).\n")
    path.write_bytes(encode_proof(proof).replace(proof.first, proof.second))
    code, found = as_json("verify", path, "--team", team)
    assert (code, found["valid"], found["culprit"]) == (1, False, None)
    assert command("verify", path, "--team", team)[1].startswith("The proof does not hold")


def test_unreadable_input_is_refused_on_one_line(team: Path, certificate: Path, tmp_path: Path) -> None:
    missing = tmp_path / "none"
    junk = tmp_path / "junk"
    junk.write_bytes(b"junk")
    cut = tmp_path / "cut"
    cut.write_bytes(certificate.read_bytes()[:-1])
    for args, reason in (
        ((missing, team), "none: cannot be read: No such file"),
        ((tmp_path, team), "cannot be read: Is a directory"),
        ((junk, team), "junk: not a decision certificate"),
        ((cut, team), "cut: message is cut"),
        ((certificate, missing), "none: cannot be read"),
        ((certificate, junk), "junk: not TOML"),
    ):
        code, line = command("verify", args[0], "--team", args[1])
        assert code == 2
        assert reason in line
        assert "\n" not in line


def test_keygen_says_when_it_makes_no_certificates(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bft_keys, "find_spec", lambda name: None)
    code, out = command("keygen", "--out", tmp_path / "keys", "--chain", "test")
    assert code == 0
    assert "No certificates for connections: they need pip install 'custodes[cluster]', before keygen." in out
    assert not (tmp_path / "keys" / "certificates").exists()
    assert all(member.certificate is None for member in load_team_file(tmp_path / "keys" / "team.toml").members)


def test_keygen_makes_a_team_and_overwrites_nothing(tmp_path: Path) -> None:
    out = tmp_path / "keys"
    code, made = as_json("keygen", "--out", out, "--chain", "test", "--n", 7)
    assert code == 0
    assert (made["n"], made["f"], made["quorum"]) == (7, 2, 5)
    assert sorted(path.name for path in out.iterdir()) == sorted(
        [Path(key).name for key in made["keys"] + made["transport_keys"]] + [Path(made["team"]).name, "certificates"]
    )
    assert len(made["transport_keys"]) == len(list((out / "certificates").iterdir())) == 7
    assert all(member.certificate is not None for member in load_team_file(out / "team.toml").members)
    code, line = command("keygen", "--out", out, "--chain", "test")
    assert code == 2
    assert "would be overwritten" in line


@pytest.mark.parametrize(("n", "reason"), [(3, "stands no liar"), (-1, "is not between"), (65, "is not between")])
def test_keygen_refuses_what_is_no_team(tmp_path: Path, n: int, reason: str) -> None:
    code, line = command("keygen", "--out", tmp_path / "keys", "--chain", "test", "--n", n)
    assert code == 2
    assert reason in line
    assert not (tmp_path / "keys").exists()


def test_keygen_says_what_it_made(tmp_path: Path) -> None:
    code, out = command("keygen", "--out", tmp_path, "--chain", "test")
    assert code == 0
    assert "stands 1 liar(s), certificates of 3 signatures" in out
