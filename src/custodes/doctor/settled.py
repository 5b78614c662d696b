"""What was wrong before the first iteration is a root cause: it follows from nothing that only training can show.

`fold` allows a consequence to show some iterations before its cause, since thresholds are crossed at different times.
That has no meaning for a finding of settings or data (iteration 0), unless what explains it is one of these too.
"""

from __future__ import annotations

from dataclasses import replace

from custodes.doctor.catalogue import CATALOGUE
from custodes.doctor.finding import SEVERITIES, Diagnosis, Finding


def settled(diagnosis: Diagnosis) -> Diagnosis:
    """The same diagnosis, with findings of settings and data that were folded under what training showed set apart.

    Args:
        diagnosis: As `diagnose` gives it.
    """
    before = {one.name for one in (*diagnosis.findings, *diagnosis.folded) if one.iteration == 0}
    own = {one.name for one in diagnosis.folded if one.iteration == 0 and not _explained(one.name, before)}
    folded = tuple(one for one in diagnosis.folded if one.name not in own)
    roots = [replace(one, explains=tuple(n for n in one.explains if n not in own)) for one in diagnosis.findings]
    for one in diagnosis.folded:
        if one.name in own:
            below = tuple(other.name for other in folded if other.name in CATALOGUE[one.name].explains)
            roots.append(replace(one, explains=below))
    return replace(diagnosis, findings=tuple(sorted(roots, key=_rank)), folded=folded)


def _explained(name: str, by: set[str]) -> bool:
    return any(name in CATALOGUE[other].explains for other in by)


def _rank(finding: Finding) -> tuple[int, int]:
    """Gravest first, then the order of the catalogue."""
    return SEVERITIES.index(finding.severity), list(CATALOGUE).index(finding.name)
