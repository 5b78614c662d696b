"""The networks of a run, as a team at work needs them."""

from __future__ import annotations

import hashlib

from custodes.bft.votes import ACTIONS
from custodes.data.features import Encoder
from custodes.rl.networks import Policy
from custodes.rl.state import load_policy
from custodes.train import checkpoint
from custodes.train.run_folder import RunFolder


def policy_of(run: RunFolder, encoder: Encoder, which: str = "best") -> Policy:
    """The networks of a run's checkpoint: `best` (the last one where there is none) or `last`.

    Raises:
        CustodesError: The checkpoint is missing or damaged, or of other settings.
    """
    file = checkpoint.file_of(run.checkpoints, which)
    config, inputs = run.config, len(encoder.columns)
    # A central critic that was trained among liars was told who lies (Workload.central_inputs); it does not act.
    central = inputs + (config.team.agents if config.liars.share else 0)
    policy = Policy(config.rl, agents=config.team.agents, inputs=inputs, central_inputs=central, actions=len(ACTIONS))
    load_policy(policy, dict(checkpoint.load_file(file).tensors))
    return policy


def digest_of(policy: Policy) -> str:
    """SHA-256 over the parameters' names and bytes, in hexadecimal."""
    total = hashlib.sha256()
    for name, value in sorted(policy.state_dict().items()):
        total.update(f"{name}:{tuple(value.shape)};".encode())
        total.update(value.detach().cpu().contiguous().numpy().tobytes())
    return total.hexdigest()
