"""What a reader of a run's scores must know, in sentences."""

from __future__ import annotations

from custodes.bft.votes import tolerated
from custodes.data.split import PartName
from custodes.team.workload import Workload
from custodes.train.config import RunConfig
from custodes.train.run_folder import RunFolder


def team_warnings(config: RunConfig) -> tuple[str, ...]:
    """What must be known about the team itself, a sentence each."""
    notes = []
    if config.rl.sharing == "shared" and config.team.agents > 1:
        notes.append("the agents share parameters: f liars among them is a figure without meaning, they fail together")
    if tolerated(config.team.agents) == 0:
        notes.append(f"{config.team.agents} agents stand no liar (f = 0): four are needed for f = 1")
    return tuple(notes)


def data_warnings(run: RunFolder, workload: Workload) -> tuple[str, ...]:
    """What must be known about the recording that is played, a sentence each."""
    notes = []
    rejected = workload.dataset.rejected
    if rejected:
        notes.append(f"{rejected:,} malformed line{'' if rejected == 1 else 's'} of the recording left out")
    if workload.dataset.digest != run.digest:
        notes.append(
            "this is not the recording that the team was trained on; the baselines were fitted on the training part "
            "of this one"
        )
    return tuple(notes)


def refit_warnings(workload: Workload, part: PartName) -> tuple[str, ...]:
    """That a team was trained on what it is scored on."""
    if part == "validation" and workload.refit:
        return ("the team was trained on the validation part too (train.refit)",)
    return ()
