"""The picture of one attack says what its record says."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path

import msgspec
import pytest

from custodes.errors import CustodesError
from custodes.evaluate.response.timeline import Moment, Timeline, encode_timeline, read_timeline
from custodes.report.timeline import summary, timeline_chart


def moment(second: float, action: int, robustness: float, **more: object) -> Moment:
    made = {
        "second": second,
        "process": 0,
        "channel": "process",
        "malicious": True,
        "executed": action < 2,
        "votes": (action, action, 0, 3),
        "action": action,
        "standing": "free",
        "alert": action == 1,
        "robustness": robustness,
    }
    return msgspec.convert({**made, **more}, Moment)


TIMELINE = Timeline(
    dataset="a <recording>",
    split="test",
    f=1,
    rule="always (exposed_s <= 30)",
    processes=("p&q",),
    malicious=4,
    prevented=2,
    moments=(
        moment(0.0, 0, 30.0, malicious=False),
        moment(2.0, 0, 30.0),
        moment(40.0, 1, -8.0),
        moment(41.5, 3, 30.0, standing="open"),
        moment(50.0, 3, 30.0, standing="gone"),
    ),
    left_out=0,
)


def test_the_chart_is_well_formed_and_has_a_cell_for_each_vote() -> None:
    drawn = ET.fromstring(str(timeline_chart(TIMELINE)))
    cells = [each for each in drawn.iter("rect") if each.get("class") != "hit"]
    assert len(cells) == 5 * 5
    assert len(list(drawn.iter("circle"))) == 5
    titles = [each.text or "" for each in drawn.iter("title")]
    assert "p&q, process, malicious" in titles[3]
    assert "votes: Alert, Alert, Allow, Block\ndecision: Alert (free)\nrobustness: -8 s" in titles[3]
    line = next(drawn.iter("polyline")).get("points", "").split()
    heights = [float(point.split(",")[1]) for point in line]
    assert max(heights) == heights[2]
    assert heights[0] == heights[1] == heights[3] == min(heights)


def test_in_words() -> None:
    assert summary(TIMELINE) == (
        "2 of 4 malicious events of this attack never ran. The first Block came 41.5 s after its first event. "
        "Lowest robustness of always (exposed_s <= 30): -8 s."
    )
    calm = msgspec.structs.replace(TIMELINE, moments=TIMELINE.moments[:3], prevented=0)
    assert "contained none of its processes" in summary(calm)


def test_a_record_comes_back_and_a_broken_one_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "timeline-test.json"
    file.write_bytes(encode_timeline(TIMELINE))
    assert read_timeline(file) == TIMELINE
    for broken, told in ((b"{", "no timeline"), (encode_timeline(TIMELINE).replace(b'"format":1', b'"format":9'), "9")):
        file.write_bytes(broken)
        with pytest.raises(CustodesError, match=told):
            read_timeline(file)
    with pytest.raises(CustodesError, match="cannot read it"):
        read_timeline(tmp_path / "none")
