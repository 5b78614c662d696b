from __future__ import annotations

from pathlib import Path

import pytest

from custodes.errors import CustodesError
from custodes.train.config import RunConfig
from custodes.train.presets import DEFAULT, load_preset, preset_names, preset_table


def test_the_names() -> None:
    assert preset_names() == ("carbanak", "nsl-kdd", "quick", "trace")
    assert DEFAULT in preset_names()


@pytest.mark.parametrize("name", ["carbanak", "nsl-kdd", "quick", "trace"])
def test_every_preset_loads_and_names_itself(name: str) -> None:
    config = load_preset(name)
    assert isinstance(config, RunConfig)
    assert config.preset == name
    assert (config.data.path == "") == (config.data.source == "synthetic")
    assert Path(config.data.path).name == config.data.path, "a file name, to be looked for where the user keeps data"


def test_trace_has_the_original_inputs_only() -> None:
    data = load_preset("trace").data
    assert data.groups == ("numeric",)
    assert data.columns == ("sequence", "src_port", "dst_port", "ip_protocol", "size", "process_pid", "process_ppid")
    assert not load_preset("trace").rl.warm_start


def test_overrides_are_applied_in_order() -> None:
    config = load_preset("quick", ["train.iterations=6", "rl.gamma=0.5", "rl.gamma=0.9", "data.split=rows"])
    assert (config.train.iterations, config.rl.gamma, config.data.split) == (6, 0.9, "rows")


def test_unknown_preset_lists_the_known_ones() -> None:
    with pytest.raises(CustodesError) as caught:
        load_preset("trce")
    assert str(caught.value) == (
        "--preset: unknown preset 'trce'; did you mean trace? (known: carbanak, nsl-kdd, quick, trace)"
    )
    with pytest.raises(CustodesError, match=r"; known: carbanak, nsl-kdd, quick, trace$"):
        preset_table("zzzzzz")


@pytest.mark.parametrize("name", ["../train/config", "", "quick.toml"])
def test_a_name_is_no_path(name: str) -> None:
    with pytest.raises(CustodesError, match="unknown preset"):
        preset_table(name)


def test_unknown_key() -> None:
    with pytest.raises(CustodesError, match=r"^rl\.gama: unknown setting; did you mean gamma\?$"):
        load_preset("quick", ["rl.gama=0.9"])
