"""The training that this project grew out of, re-made with its defects, each a switch (docs/doctor-origin.md)."""

from __future__ import annotations

from custodes.doctor.origin.case import Case, examine
from custodes.doctor.origin.defects import DEFECTS, Defect, Repairs
from custodes.doctor.origin.material import RECORDING, read_recording
from custodes.doctor.origin.settings import PUBLISHED, TABLE, OriginSettings
from custodes.doctor.origin.variants import VARIANTS, Row, Variant, row_of, run_variants

__all__ = [
    "DEFECTS",
    "PUBLISHED",
    "RECORDING",
    "TABLE",
    "VARIANTS",
    "Case",
    "Defect",
    "OriginSettings",
    "Repairs",
    "Row",
    "Variant",
    "examine",
    "read_recording",
    "row_of",
    "run_variants",
]
