"""Teams, team files and keys: what is refused, and that nothing is overwritten."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from custodes.bft.errors import BftError
from custodes.bft.keys import TEAM_FILE, generate, key_name, load_signer
from custodes.bft.team import Team
from custodes.bft.teamfile import Member, format_team_file, load_team_file, make_team_file, parse_team_file
from custodes.bft.votes import quorum, tolerated
from tests.bft.material import material

KEYS = material(7).team.keys
ADDRESSES = tuple(f"127.0.0.1:{9000 + index}" for index in range(4))


def members(n: int = 4, **changes: Any) -> tuple[Member, ...]:
    return tuple(
        Member(public_key=KEYS[index], address=f"host-{index}:9000", certificate=bytes([index]) * 32 if index else None)
        for index in range(n)
    )


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"keys": ()}, "a team of 0 replicas stands no liar"),
        ({"keys": KEYS[:3]}, "a team of 3 replicas stands no liar; use at least 4"),
        ({"keys": tuple(index.to_bytes(32, "big") for index in range(65))}, "too large"),
        ({"keys": (*KEYS[:3], KEYS[0])}, "replicas 0 and 3 have the same public key"),
        ({"keys": (*KEYS[:3], b"short")}, "replica 3 has 5 bytes"),
        ({"chain": ""}, "chain id"),
        ({"chain": "x" * 65}, "chain id"),
        ({"chain": "ä"}, "chain id"),
        ({"chain": "a\nb"}, "chain id"),
        ({"epoch": -1}, "epoch -1"),
        ({"epoch": 2**63}, "epoch"),
    ],
)
def test_teams_that_cannot_agree_are_refused(changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(BftError, match=reason) as caught:
        Team(**{"chain": "test", "epoch": 0, "keys": KEYS[:4], **changes})
    assert "\n" not in str(caught.value)


def test_leaders_take_turns() -> None:
    team = material(7).team
    assert [team.leader(view) for view in range(1, 9)] == [1, 2, 3, 4, 5, 6, 0, 1]


def test_any_two_quorums_share_an_honest_replica() -> None:
    for n in range(4, 65):
        f = tolerated(n)
        size = quorum(n)
        # Two quorums overlap in at least 2 * size - n replicas; the honest ones alone make a quorum.
        assert 2 * size - n >= f + 1
        assert 2 * (size - 1) - n < f + 1
        assert size <= n - f
        assert size == -(-(n + f + 1) // 2)


@given(
    st.text("abc-_ .\"\\'", min_size=1, max_size=20),
    st.integers(0, 2**63 - 1),
    st.sampled_from([4, 5, 7]),
)
def test_team_files_come_back(chain: str, epoch: int, n: int) -> None:
    file = make_team_file(chain, epoch, members(n))
    assert parse_team_file(format_team_file(file)) == file


GOOD = format_team_file(make_team_file("test", 0, members()))


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ('chain = "test"', "", "chain is missing"),
        ('chain = "test"', "chain = 5", "chain is not of type str"),
        ("epoch = 0", "epoch = true", "epoch is not of type int"),
        ("f = 1", "f = 0", "f = 0 does not fit 4 replicas; write f = 1"),
        ("f = 1", "f = 2", "f = 2 does not fit 4 replicas"),
        ("f = 1", "", "f is missing"),
        ("f = 1", "f = 1\nquorum = 2", "unknown key 'quorum'"),
        ("index = 2", "index = 3", "replica 2: index 3 stands at place 2"),
        ("index = 2", "", "replica 2: index is missing"),
        ("index = 2", 'index = 2\nname = "x"', "replica 2: unknown key 'name'"),
        (KEYS[2].hex(), KEYS[2].hex()[1:], "replica 2: public_key is not 64 hexadecimal digits"),
        (KEYS[2].hex(), "g" * 64, "public_key is not 64 hexadecimal digits"),
        (KEYS[2].hex(), KEYS[1].hex(), "replicas 1 and 2 have the same public key"),
        ('"host-2:9000"', '"host-1:9000"', "replicas 1 and 2 have the same address"),
        ('"host-2:9000"', '"host-2"', "address 'host-2' is not host:port"),
        ('"host-2:9000"', '"host-2:0"', "is not host:port"),
        ('"host-2:9000"', '"host-2:99999999999"', "is not host:port"),
        ("02" * 32, "02", "certificate is not 64 hexadecimal digits"),
        ("[[replica]]", "[replica]", "replica"),
    ],
)
def test_team_files_that_are_refused(old: str, new: str, reason: str, tmp_path: Path) -> None:
    assert old in GOOD
    path = tmp_path / "team.toml"
    path.write_text(GOOD.replace(old, new) if old != "[[replica]]" else GOOD.split("[[")[0] + "[replica]\nindex = 0\n")
    with pytest.raises(BftError) as caught:
        load_team_file(path)
    assert reason in str(caught.value)
    assert str(caught.value).startswith(str(path))


def test_files_that_are_no_team_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "team.toml"
    for content, reason in ((b"[[", "not TOML"), (b"\xff\xfe", "not UTF-8"), (b" " * (2**20 + 1), "over")):
        path.write_bytes(content)
        with pytest.raises(BftError, match=reason):
            load_team_file(path)
    with pytest.raises(BftError, match="No such file"):
        load_team_file(tmp_path / "none.toml")


def test_keys_are_made_for_their_owner_alone(tmp_path: Path) -> None:
    old = os.umask(0)
    try:
        file = generate(tmp_path / "team", chain="test", addresses=ADDRESSES, epoch=2)
    finally:
        os.umask(old)
    assert load_team_file(tmp_path / "team" / TEAM_FILE) == file
    for index in range(4):
        path = tmp_path / "team" / key_name(index)
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert load_signer(path).public == file.team.keys[index]
        assert path.read_text().strip() not in (tmp_path / "team" / TEAM_FILE).read_text()


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    generate(tmp_path, chain="test", addresses=ADDRESSES)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(BftError, match="would be overwritten"):
        generate(tmp_path, chain="test", addresses=ADDRESSES)
    (tmp_path / key_name(0)).unlink()
    with pytest.raises(BftError, match="would be overwritten"):
        generate(tmp_path, chain="test", addresses=ADDRESSES)
    after = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert {name: before[name] for name in after} == after
    assert key_name(0) not in after


def test_too_few_replicas_get_no_keys(tmp_path: Path) -> None:
    with pytest.raises(BftError, match="stands no liar"):
        generate(tmp_path / "team", chain="test", addresses=ADDRESSES[:3])
    assert not (tmp_path / "team").exists()


def test_private_keys_that_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "key"
    with pytest.raises(BftError, match="No such file"):
        load_signer(path)
    path.write_text("00" * 32)
    path.chmod(0o640)
    with pytest.raises(BftError, match="others may read this private key; chmod 600"):
        load_signer(path)
    path.chmod(0o600)
    assert load_signer(path).public
    for content in ("", "00" * 31, "zz" * 32, "\xff"):
        path.write_bytes(content.encode("latin-1"))
        with pytest.raises(BftError, match="not a private key"):
            load_signer(path)
