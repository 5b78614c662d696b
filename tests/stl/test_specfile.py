"""Files of rules: what they say, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from custodes.stl.analysis import in_samples
from custodes.stl.errors import FormulaError, StlError
from custodes.stl.parser import parse
from custodes.stl.specfile import SignalInfo, load_specs, parse_specs

FULL = """
period = "500ms"
sampling = "hold"
time_unit = "ms"
end = "interval"
nan = "mask"

[parameters]
limit = 0.05
wait = "5s"
many = 3

[formulas]
late = "threat and not once[0,wait] (contained)"  # uses a later one
threat = "score > limit"

[signals.score]
unit = "1"
description = "How suspicious"
[signals.contained]

[[spec]]
name = "contained in time"
formula = "always (threat -> eventually[0,wait] (contained))"
description = "Every threat is contained within 5 s."
severity = "critical"
tags = ["label", "own"]
target = 0.01

[[spec]]
name = "seldom late"
formula = "count(late, 10s) < many"
"""
SPEC = '[[spec]]\nname = "a"\nformula = "F[0,wait] (threat)"\n'
REST = '[parameters]\nwait = 5\n[formulas]\nthreat = "x"\n'


def test_a_whole_file() -> None:
    file = parse_specs(FULL)
    first, second = file.specs
    assert (file.period_ns, file.sampling, file.time_unit, file.end, file.nan) == (
        *(500_000_000, "hold", "ms", "interval", "mask"),
    )
    assert file.signals == {
        "score": SignalInfo(unit="1", description="How suspicious"),
        "contained": SignalInfo(unit="", description=""),
    }
    assert file.parameters == {"limit": 0.05, "wait": "5s", "many": 3.0}
    assert first.formula == parse("always (score > 0.05 -> eventually[0,10] (contained))")
    assert (first.name, first.severity, first.tags, first.target) == (
        *("contained in time", "critical", ("label", "own"), 0.01),
    )
    assert first.description == "Every threat is contained within 5 s."
    assert first.text == "always (threat -> eventually[0,wait] (contained))"
    assert second.formula == parse("count(score > 0.05 and not once[0,10] (contained), 20) < 3")
    assert (second.severity, second.tags, second.target, second.description) == ("warning", (), 0.05, "")


def test_without_a_period_units_stay() -> None:
    file = parse_specs('[[spec]]\nname = "a"\nformula = "F[0,5s] x"\n')
    assert file.period_ns is None
    assert file.specs[0].formula == parse("F[0,5s] x")
    assert in_samples(file.specs[0].formula, 10**9) == parse("F[0,5] x")


REFUSED = [
    ("x", "specs: no TOML: "),
    ("x = " + "9" * 5000, "specs: no TOML: "),
    ("x = " + "[" * 5000, "specs: no TOML: it is nested too deeply"),
    ("", r"specs: the file has no spec; add \[\[spec\]\]"),
    ("spec = 3", "specs, spec: it is a whole number, not a list; write \\[\\[spec\\]\\] with"),
    ("zzz = 1\n" + SPEC, "specs: it has an unknown key 'zzz'; keys are spec, period"),
    (SPEC + "sev = 1\n" + REST, "specs, spec a: it has an unknown key 'sev'; keys are name, formula"),
    (SPEC + 'severity = "bad"\n' + REST, "spec a, severity: .*; write one of info, warning, critical"),
    (SPEC + "tags = [1]\n" + REST, r'spec a, tags\[0\]: it is a whole number, not a text; write tags = \["hard"\]'),
    (SPEC + "target = 1.5\n" + REST, "spec a, target: .*<= 1.0"),
    (SPEC + SPEC + REST, "specs, spec a: two specs have this name; rename"),
    ('[[spec]]\nname = "a"\n', "spec a: it lacks the key 'formula'"),
    ('[[spec]]\nformula = "x"\n', "spec number 1: it lacks the key 'name'"),
    ('[[spec]]\nname = 3\nformula = "x"\n', "spec number 1, name: it is a whole number, not a text; write name = "),
    ('[[spec]]\nname = "\\u0007"\nformula = "x"\n', "the name is empty or not printable"),
    ('end = "x"\n' + SPEC + REST, "specs, end: .*; write one of truncate, pessimistic, hold, interval"),
    ('sampling = "x"\n' + SPEC + REST, "specs, sampling: .*; write one of reject, samples, hold, linear"),
    ('time_unit = "week"\n' + SPEC + REST, "specs, time_unit: unknown unit 'week'; write one of ns"),
    ("period = 3\n" + SPEC + REST, 'specs, period: it is a whole number, not a text; write period = "1s"'),
    ('period = "3"\n' + SPEC + REST, "specs, period: the sampling period is '3'; write a length"),
    ('period = "0s"\n' + SPEC + REST, "specs, period: the sampling period is '0s'"),
    ('period = "soon"\n' + SPEC + REST, "specs, period: 'soon' is no length of time"),
    (SPEC + "[parameters]\nwait = true\n", "specs, parameters.wait: it is neither a number nor a text"),
    (SPEC + "[parameters]\nwait = nan\n", "parameters.wait: the number is not finite"),
    (SPEC + "[parameters]\nwait = 1" + "0" * 400, "parameters.wait: the number is not finite"),
    (SPEC + '[parameters]\nwait = "5 weeks"\n', "parameters.wait: '5 weeks' is no length of time; write"),
    (SPEC + '[parameters]\nwait = "0.1ns"\n', "parameters.wait: .*no whole number of nanoseconds"),
    (SPEC + "[parameters]\nalways = 1\n", "parameters.always: 'always' can't be named in a formula"),
    (SPEC + "[parameters]\ns = 1\n", "parameters.s: 's' can't be named"),
    (SPEC + "[formulas]\nthreat = 3\n", "specs, formulas.threat: a formula is a text"),
    (SPEC + '[parameters]\nwait = 1\n[formulas]\nwait = "x"\n', "formulas.wait: there is a parameter of that name too"),
    (SPEC + '[signals.b]\n[formulas]\nb = "x"\n', "formulas.b: there is a signal of that name too"),
    (SPEC + '[formulas]\nthreat = "threat"\n', "specs, formulas: the formulas go round in a circle: threat -> threat"),
    (
        SPEC + '[formulas]\na = "b or x"\nb = "not c"\nc = "a"\n',
        "go round in a circle: (a -> b -> c -> a|b -> c -> a -> b|c -> a -> b -> c); break it",
    ),
    (SPEC + '[formulas]\nthreat = "x >"\n', "specs, formulas.threat, line 1, column 4: the formula ends"),
    ('[[spec]]\nname = "a"\nformula = """x and\n y >"""\n', "specs, formula of spec a, line 2, column 5: "),
    (SPEC + REST + "[signals.xx]\n", "formulas.threat, line 1, column 1: unknown signal x; did you mean xx"),
    (
        SPEC + REST + "[signals]\nx = 3\n",
        "specs, signals.x: it is a whole number, not a table; write a table, keys are unit",
    ),
    (SPEC + REST + '[signals.x]\nuni = "s"\n', "specs, signals.x: it has an unknown key 'uni'; keys are unit"),
    (SPEC + REST + '[signals.""]\n', "specs, signals: a signal has no name"),
    (
        'period = "2s"\n' + SPEC + '[parameters]\nwait = "5s"\n[formulas]\nthreat = "x"\n',
        "formula of spec a, line 1, column 1: 5s is no multiple of the sampling period 2s; write 4s or 6s",
    ),
    (
        'period = "2s"\n[[spec]]\nname = "a"\nformula = "at least 3 of 4s x"\n',
        "3 of 2 samples is never reached; lengthen the window",
    ),
]


@pytest.mark.parametrize(("text", "message"), REFUSED, ids=range(len(REFUSED)))
def test_refused_with_file_and_key(text: str, message: str) -> None:
    with pytest.raises(StlError, match=message) as caught:
        parse_specs(text)
    assert str(caught.value).startswith("specs")
    assert "\n" not in str(caught.value)
    assert "; " in str(caught.value)


def test_places_in_files(tmp_path: Path) -> None:
    path = tmp_path / "rules.toml"
    path.write_text(SPEC.replace("F[0", "F[9") + REST, encoding="utf-8")
    with pytest.raises(FormulaError, match=r"rules.toml, formula of spec a, line 1, column 2: the window is empty"):
        load_specs(path)


def test_files_that_can_not_be_read(tmp_path: Path) -> None:
    with pytest.raises(StlError, match=r"none.toml: cannot be read: No such file.*; name a TOML file"):
        load_specs(tmp_path / "none.toml")
    with pytest.raises(StlError, match="cannot be read: Is a directory"):
        load_specs(tmp_path)
    with pytest.raises(StlError, match="cannot be read"):
        load_specs("a\0b")
    bad = tmp_path / "bad.toml"
    bad.write_bytes(b"# \xff\n")
    with pytest.raises(StlError, match=r"bad.toml: byte 2 is not UTF-8; save the file as UTF-8"):
        load_specs(bad)
