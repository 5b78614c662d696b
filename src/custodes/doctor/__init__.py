"""Why a training does not learn: findings with evidence, from signals that it recorded (docs/doctor.md)."""

from __future__ import annotations

from custodes.doctor.catalogue import CATALOGUE, Entry
from custodes.doctor.detector import DETECTORS, Detector
from custodes.doctor.diagnose import diagnose
from custodes.doctor.facts import Ceiling, Facts, InputLeak, LabelRule, LearningSession, NonFinite
from custodes.doctor.finding import SEVERITIES, Diagnosis, Evidence, Finding, NotExamined, Severity
from custodes.doctor.signals import Series, Signals, signals_of

__all__ = [
    "CATALOGUE",
    "DETECTORS",
    "SEVERITIES",
    "Ceiling",
    "Detector",
    "Diagnosis",
    "Entry",
    "Evidence",
    "Facts",
    "Finding",
    "InputLeak",
    "LabelRule",
    "LearningSession",
    "NonFinite",
    "NotExamined",
    "Series",
    "Severity",
    "Signals",
    "diagnose",
    "signals_of",
]
