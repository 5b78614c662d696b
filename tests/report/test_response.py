"""The response section: there when there is a record, with its figures, and honest about who is ahead."""

from __future__ import annotations

import re
import tomllib
import xml.etree.ElementTree as ET
from pathlib import Path

import msgspec
import numpy as np
import pytest

from custodes.env.response.recording import Recording
from custodes.evaluate.evaluation import Evaluation, decode_evaluation
from custodes.evaluate.response.outcome import allow_all, oracle
from custodes.evaluate.response.record import response_record
from custodes.report import write_report
from custodes.report.checks import warnings_of
from custodes.report.files import RunFiles
from custodes.report.response import best_rival, members_ahead, response_of
from tests.env.response.worlds import Event
from tests.evaluate.response.small import COSTS, DECISIONS, recording, recording_with
from tests.report.responses import LATE, NONE, make_responding_run, responding
from tests.report.runs import config, evaluation
from tests.report.test_page import Balance


@pytest.fixture(scope="module")
def record() -> Evaluation:
    return responding()


@pytest.fixture(scope="module")
def page(record: Evaluation, tmp_path_factory: pytest.TempPathFactory) -> str:
    run = make_responding_run(tmp_path_factory.mktemp("runs") / "first", record)
    return write_report(run).read_text(encoding="utf-8")


def run_with(record: Evaluation) -> RunFiles:
    return RunFiles(name="run", config=tomllib.loads(config()), metrics=(), evaluations=(record,), findings=None)


def test_the_section_is_well_formed(page: str) -> None:
    parser = Balance()
    parser.feed(page)
    assert parser.open == []
    assert len(parser.ids) == len(set(parser.ids))
    assert set(parser.refers) <= set(parser.ids)
    assert parser.loads == []
    charts = [chart for chart in re.findall(r'<svg class="chart".*?</svg>', page, re.DOTALL) if "sensitivity" in chart]
    assert len(charts) == 1
    root = ET.fromstring(charts[0])
    assert "Response score" in (root.findtext("title") or "")
    assert "trees: from" in (root.findtext("desc") or "")


def test_its_figures_are_those_of_the_record(record: Evaluation, page: str) -> None:
    response = record.response
    assert response is not None
    assert response.score is not None
    assert f"<b>{response.score:.3f}</b>" in page
    for text in (f"a response score of {response.score:.3f}", "agent 1 alone", "needs names", "false containments",
                 "trees: 0.500", "8 events of 4 processes over 1.0 hours", "Made up &lt;by hand&gt;.",
                 "the rest of the recording goes on unchanged", "<caption>Malicious events prevented, by attack phase",
                 "the team beats each of them", "200 s", "never"):  # fmt: skip
        assert text in page, text
    # Phase x: two events, of which the team prevented one and the late block none; phase y: one, prevented by both.
    assert '<th scope="row">x</th><td>2</td><td>1</td><td>0</td>' in page
    assert '<th scope="row">y</th><td>1</td><td>1</td><td>1</td>' in page


def test_the_best_rival_is_never_the_oracle(record: Evaluation, page: str) -> None:
    rival = best_rival(record)
    assert rival is not None
    assert rival[0] == "trees"
    assert "The best baseline is trees with 0.500, 0.244 behind" in page
    assert "reward per decision</span>" not in page
    assert "the baseline oracle" not in "".join(warnings_of(run_with(record)))


def test_a_run_of_triage_has_no_section(tmp_path: Path) -> None:
    plain = decode_evaluation(evaluation("test", ("allow",)))
    assert response_of(plain) is None
    text = write_report(make_responding_run(tmp_path / "run", plain)).read_text(encoding="utf-8")
    assert "stopping the attack" not in text
    assert "tuned for F1 on validation." in text


def test_it_is_said_when_a_baseline_or_a_member_is_ahead() -> None:
    worse = responding(team=NONE, member=LATE)
    said = "\n".join(warnings_of(run_with(worse)))
    assert "On test the baseline trees is ahead of the team by a response score of 0.500" in said
    assert "agent 1 alone responds at least as well as the team" in said
    assert worse.response is not None
    assert members_ahead(worse.response) == (0, 1)
    section = response_of(worse)
    assert section is not None
    assert any("0.500 ahead" in sentence for sentence in section.sentences)
    assert any("all but agent 0, 1" in sentence for sentence in section.sentences)
    good = "\n".join(warnings_of(run_with(responding())))
    assert "ahead of the team by a response" not in good
    assert "alone responds" not in good


def test_an_interval_around_nothing_is_said_to_tell_nothing() -> None:
    level = responding(team=LATE, member=NONE)
    section = response_of(level)
    assert section is not None
    assert any("neither is surely ahead" in sentence for sentence in section.sentences)


def test_a_part_without_an_attack_has_no_score_and_no_curve(record: Evaluation, tmp_path: Path) -> None:
    calm: Recording = recording_with(Event(time=1, entity="a"), Event(time=5, entity="b"))
    quiet = msgspec.structs.replace(record, response=response_record(calm, np.zeros(2, dtype=int), COSTS), baselines={})
    section = response_of(quiet)
    assert section is not None
    assert section.chart is None
    assert section.phases == ()
    text = write_report(make_responding_run(tmp_path / "run", quiet)).read_text(encoding="utf-8")
    assert "holds no attack, so there is no score" in text
    assert "No malicious event in this part" in text
    assert "n/a" in text


def test_more_policies_than_line_styles_are_named_below_the_curve(record: Evaluation) -> None:
    many = {f"other-{index}": record.baselines["trees"] for index in range(9)}
    section = response_of(msgspec.structs.replace(record, baselines=many))
    assert section is not None
    assert len(section.legend) == 8
    assert len(section.undrawn) == 2


def test_the_ends_of_the_scale_are_those_of_the_recording() -> None:
    part = recording()
    scores = [response_record(part, some, COSTS).score for some in (allow_all(part), DECISIONS, oracle(part))]
    assert scores == sorted(score for score in scores if score is not None)
