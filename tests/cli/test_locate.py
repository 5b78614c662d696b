from __future__ import annotations

from pathlib import Path

import pytest

from custodes.cli.locate import VARIABLE, find_data, known_place
from custodes.data.config import DataConfig
from custodes.errors import CustodesError

NAME = "events.parquet"


def put(folder: Path, name: str = NAME) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(b"")
    return (folder / name).resolve()


def find(given: Path | None = None, path: str = NAME, test_path: str = "") -> str:
    return find_data(DataConfig(path=path, test_path=test_path, source="trace"), given).path


def test_the_order_of_search(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(
        CustodesError, match=r"data\.path: no recording events\.parquet \(looked for events\.parquet, \.\."
    ) as caught:
        find()
    assert "give it with --data PATH, or name its folder in CUSTODES_DATA" in str(caught.value)
    shared = put(Path("../shared/data"))
    assert find() == str(shared)
    monkeypatch.setenv(VARIABLE, str(tmp_path / "mine"))
    with pytest.raises(CustodesError, match=r"looked for events\.parquet, .*/mine/events\.parquet"):
        find()
    mine = put(tmp_path / "mine")
    assert find() == str(mine)
    here = put(Path())
    assert find() == str(here)
    given = put(tmp_path / "given", "other.csv")
    assert find(given) == str(given)
    assert find(given, path=str(mine)) == str(given)


def test_an_absolute_path_that_moved_is_found_by_its_name(tmp_path: Path) -> None:
    shared = put(Path("../shared/data"))
    assert find(path=str(tmp_path / "gone" / NAME)) == str(shared)


def test_a_folder_holds_the_preset_s_file(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    path = put(folder)
    assert find(folder) == str(path)
    with pytest.raises(CustodesError, match=r"no missing\.csv in this folder"):
        find(folder, path="missing.csv")
    with pytest.raises(CustodesError, match="this is a folder; give one file"):
        find(folder, path="")


@pytest.mark.parametrize("source", ["synthetic", "auto"])
def test_data_for_a_preset_without_any(tmp_path: Path, source: str) -> None:
    path = put(tmp_path, "mine.csv")
    config = find_data(DataConfig(source=source), path)  # type: ignore[arg-type]
    assert (config.path, config.source) == (str(path), "auto")


def test_synthetic_needs_no_file() -> None:
    config = DataConfig(source="synthetic")
    assert find_data(config, None) == config


def test_what_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(CustodesError, match=r"^--data .*/none: no such file"):
        find(tmp_path / "none")
    with pytest.raises(CustodesError, match=r"^data\.path: no recording was named"):
        find(path="")
    with pytest.raises(CustodesError, match="this is a folder, not a recording"):
        find(path=str(tmp_path))


def test_the_official_test_file_lies_beside(tmp_path: Path) -> None:
    put(tmp_path / "a")
    config = DataConfig(path=NAME, test_path="test.parquet", source="flows")
    with pytest.raises(CustodesError, match=r"no test recording test\.parquet beside it"):
        find_data(config, tmp_path / "a")
    test = put(tmp_path / "a", "test.parquet")
    assert find_data(config, tmp_path / "a").test_path == str(test)
    assert find_data(config, tmp_path / "a" / NAME).test_path == str(test)
    other = put(tmp_path / "b")
    found = find_data(DataConfig(path=NAME, test_path=str(test), source="flows"), other)
    assert (found.path, found.test_path) == (str(other), str(test))


def test_known_place(tmp_path: Path) -> None:
    assert known_place("x") is None
    assert known_place(str(put(tmp_path))) == tmp_path / NAME
