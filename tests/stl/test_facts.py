from __future__ import annotations

from pathlib import Path

from custodes.stl.facts import check_specs
from tests.stl.test_specfile import FULL


def test_checked_rules(tmp_path: Path) -> None:
    path = tmp_path / "rules.toml"
    path.write_text(FULL, encoding="utf-8")
    first, second = check_specs(path)
    assert first == {
        "name": "contained in time",
        "formula": "always(score > 0.05 -> eventually[0,10](contained > 0.5))",
        "horizon": "inf",
        "needs_period": False,
        "horizon_s": None,
        "memory": 0,
        "signals": ["contained", "score"],
        "severity": "critical",
        "tags": ["label", "own"],
        "description": "Every threat is contained within 5 s.",
    }
    assert (second["horizon"], second["needs_period"]) == (0, False)
    path.write_text('[[spec]]\nname = "a"\nformula = "F[0,5s] x"\n', encoding="utf-8")
    assert (check_specs(path)[0]["horizon"], check_specs(path)[0]["needs_period"]) == (None, True)
    assert check_specs(path)[0]["horizon_s"] == 5.0
