"""Logs of other trainers: what they hold in the words of this one (docs/doctor-foreign.md)."""

from __future__ import annotations

from custodes.doctor.foreign.aligning import ForeignRun
from custodes.doctor.foreign.reading import is_foreign, read_foreign

__all__ = ["ForeignRun", "is_foreign", "read_foreign"]
