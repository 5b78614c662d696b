"""What the callback measures on a model of Stable-Baselines3; imports nothing of it.

Names are those of docs/run-folder.md. T steps of B environments are one iteration; the one agent is agent 0.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from custodes.doctor import measure
from custodes.rl.floor import value_loss_floor
from custodes.rl.statistics import explained_variance

ROWS: Final = 1024
"""Steps of a rollout that are looked at again, at most."""
WIDEST: Final = 256
"""Inputs up to which the value-loss floor is estimated."""
LOGGED: Final[Mapping[str, tuple[str, float]]] = {
    "train/value_loss": ("value_loss_update", 1.0),
    "train/policy_gradient_loss": ("policy_loss", 1.0),
    "train/policy_loss": ("policy_loss", 1.0),
    "train/entropy_loss": ("entropy", -1.0),
    "train/approx_kl": ("kl", 1.0),
    "train/clip_fraction": ("clip_fraction", 1.0),
    "train/learning_rate": ("learning_rate", 1.0),
}


def facts_of(model: Any, learning: Mapping[str, Any]) -> dict[str, Any]:
    """What a model says of the run as a whole.

    Args:
        model: PPO, A2C or a kin of theirs.
        learning: Local variables of its `learn`.
    """
    steps, slots = int(model.n_steps), int(model.n_envs)
    facts: dict[str, Any] = {
        "agents": 1,
        "per_iteration": steps * slots,
        "gamma": float(model.gamma),
        "normalise_value": False,
        "max_grad_norm": float(model.max_grad_norm or 0.0),
    }
    if getattr(model.action_space, "n", None) is not None:
        facts["actions"] = int(model.action_space.n)
    if getattr(model, "batch_size", None):
        facts["minibatches"] = -(-steps * slots // int(model.batch_size))
    if callable(getattr(model, "clip_range", None)):
        facts["clip"] = float(model.clip_range(1.0))
        clip = getattr(model, "clip_range_vf", None)
        facts["value_clip"] = float(clip(1.0)) if callable(clip) else 0.0
    total = learning.get("total_timesteps")
    if isinstance(total, int):
        facts["planned_iterations"] = -(-total // (steps * slots))
    return facts


@torch.no_grad()
def before_update(model: Any) -> dict[str, Any]:
    """The line of an iteration, as far as it is known before the update.

    Left out is what means nothing where actions lead from one observation to the next: that inputs move as the policy
    learns, and that rewards are all alike (what differs is how many of them there are).

    Args:
        model: Its rollout buffer is full.
    """
    buffer = model.rollout_buffer
    seen = _flat(buffer.observations)
    line = {
        **_critic(buffer, seen),
        "reward_per_decision": float(buffer.rewards.mean()),
        "reward_std": float(buffer.rewards.std()),
        **_inputs(seen),
        **_actions(model, buffer),
    }
    if not hasattr(buffer, "hidden_states_pi"):
        line |= _start(model, buffer)
    return line


def parameters_of(model: Any) -> Tensor:
    """Every parameter in a row, a copy."""
    return torch.cat([parameter.detach().flatten() for parameter in model.policy.parameters()])


def after_update(model: Any, before: Tensor) -> dict[str, Any]:
    """What the update left: its own log, and how far it moved.

    Args:
        model: Behind an update.
        before: `parameters_of` before it.
    """
    logged = model.logger.name_to_value
    line: dict[str, Any] = {
        signal: factor * float(logged[tag]) for tag, (signal, factor) in LOGGED.items() if tag in logged
    }
    line["parameter_step"] = float((parameters_of(model) - before).norm()) / (float(before.norm()) + 1e-12)
    return line


def gradients_of(model: Any) -> dict[str, float]:
    """Norms of the present gradients at the first layer and at the heads, where there are such layers."""
    policy = model.policy
    layers = {
        "grad_first": _first_layer(getattr(getattr(policy, "mlp_extractor", None), "policy_net", None)),
        "grad_policy_head": getattr(policy, "action_net", None),
        "grad_value_head": getattr(policy, "value_net", None),
    }
    weights = {name: getattr(layer, "weight", None) for name, layer in layers.items()}
    return {name: float(w.grad.norm()) for name, w in weights.items() if w is not None and w.grad is not None}


def _first_layer(network: Any) -> nn.Module | None:
    modules = network.modules() if isinstance(network, nn.Module) else iter(())
    return next((module for module in modules if isinstance(module, nn.Linear)), None)


def _critic(buffer: Any, seen: NDArray[np.float32]) -> dict[str, Any]:
    """The acting critic against the returns that it is about to be taught."""
    returns, values = (torch.from_numpy(x.reshape(-1).astype(np.float32)) for x in (buffer.returns, buffer.values))
    line: dict[str, Any] = {
        "value_loss": float((returns - values).square().mean()),
        "explained_variance": explained_variance(returns, values),
        "return_mean": float(returns.mean()),
        "return_std": float(returns.std(correction=0)),
    }
    if seen.shape[-1] <= WIDEST:
        T, B = buffer.episode_starts.shape
        episode = buffer.episode_starts.astype(np.int64).cumsum(0) * B + np.arange(B)
        known = torch.from_numpy(seen.reshape(T * B, -1))
        # Both in units of the returns' deviation, where the penalties of the regressions fit; then back.
        scale = line["return_std"] + 1e-8
        lane = torch.from_numpy(episode.reshape(-1))
        floor = value_loss_floor(
            (returns - line["return_mean"]) / scale, (values - line["return_mean"]) / scale, known, lane
        )
        line["value_loss_floor"] = None if floor is None else floor * scale**2
    return line


def _inputs(seen: NDArray[np.float32]) -> dict[str, Any]:
    """Inputs that never change, and the largest root mean square of one."""
    rows = seen.reshape(-1, seen.shape[-1])
    return {
        "inputs_constant": [float((rows.std(0) <= 1e-6).mean())],
        "input_rms_max": float(np.sqrt(np.square(rows, dtype=np.float64).mean(0)).max()),
    }


def _actions(model: Any, buffer: Any) -> dict[str, Any]:
    """Which actions were drawn, and whether advantages depend on them; discrete actions only."""
    count = getattr(model.action_space, "n", None)
    if count is None:
        return {}
    T, B = buffer.rewards.shape
    action = torch.from_numpy(buffer.actions.reshape(T, B, 1).astype(np.int64))
    advantage = torch.from_numpy(buffer.advantages.reshape(T, B, 1).astype(np.float32))
    return {
        "action_shares": measure.shares(action.flatten(0, 1), int(count)),
        "advantage_signal": measure.action_signal(advantage, action),
    }


def _start(model: Any, buffer: Any) -> dict[str, Any]:
    """Is the policy of the update the one that acted? Asked as the update asks it, on some of its rows."""
    n = buffer.log_probs.size
    rows = np.linspace(0, n - 1, min(ROWS, n)).astype(np.int64)
    observations = _rows(buffer.observations, rows, model)
    taken = torch.as_tensor(buffer.actions.reshape(n, -1)[rows], device=model.device)
    discrete = getattr(model.action_space, "n", None) is not None
    taken = taken.long().flatten() if discrete else taken
    old = torch.as_tensor(buffer.log_probs.reshape(n)[rows], device=model.device)
    with _as_in_the_update(model.policy):
        _, new, entropy = model.policy.evaluate_actions(observations, taken)
        _, again, _ = model.policy.evaluate_actions(observations, taken)
    ratio = (new - old).exp()
    error = (ratio - 1.0).abs()
    line: dict[str, Any] = {
        "ratio_error": float(error.mean()),
        "ratio_error_max": float(error.max()),
        "ratio_elements": ratio.numel() / old.numel(),
        "ratio_error_per_agent": [float(error.mean())] if ratio.numel() == old.numel() else None,
        "repeat_error": float((again - new).abs().max()),
    }
    if discrete and entropy is not None:
        line["entropy_per_agent"] = [float(entropy.mean())]
        line["vote_surprise"] = measure.vote_surprise(new.reshape(-1, 1), entropy.reshape(-1, 1))
        chosen = model.policy.get_distribution(observations).mode().reshape(-1, 1).long()
        line["greedy_shares"] = measure.shares(chosen.cpu(), int(model.action_space.n))
    return line


@contextmanager
def _as_in_the_update(policy: nn.Module) -> Iterator[None]:
    """Dropout as it will be in the update, and the generators as they were; running statistics stand still."""
    noisy = [module for module in policy.modules() if isinstance(module, nn.modules.dropout._DropoutNd)]
    modes = [module.training for module in noisy]
    devices = [p.device for p in policy.parameters() if p.device.type == "cuda"][:1]
    with torch.random.fork_rng(devices=devices):
        for module in noisy:
            module.train(True)
        try:
            yield
        finally:
            for module, mode in zip(noisy, modes, strict=True):
                module.train(mode)


def _rows(observations: Any, rows: NDArray[np.int64], model: Any) -> Any:
    """Some rows of the buffer's observations, as the policy takes them."""
    if isinstance(observations, dict):
        return {key: _rows(part, rows, model) for key, part in observations.items()}
    flat = observations.reshape(-1, *observations.shape[2:])
    return torch.as_tensor(flat[rows], device=model.device)


def _flat(observations: Any) -> NDArray[np.float32]:
    """Observations [T, B, D], whatever their shape was."""
    parts = list(observations.values()) if isinstance(observations, dict) else [observations]
    flat = [part.reshape(*part.shape[:2], -1).astype(np.float32) for part in parts]
    return np.concatenate(flat, axis=-1)
