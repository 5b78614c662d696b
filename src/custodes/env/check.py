"""Does an environment keep the promises of `VectorEnv`? For those who bring their own."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NoReturn

import torch
from torch import Tensor

from custodes.errors import CustodesError
from custodes.interface import Observation, Step, VectorEnv

RULES: Final = {
    "sizes": "slots, agents, inputs, central_inputs and actions are integers of at least 1",
    "shape": "every tensor has the shape that custodes.interface documents",
    "dtype": "every tensor has the type that custodes.interface documents",
    "finite": "observations and rewards are finite",
    "mask": "every agent is allowed at least one action",
    "ends": "terminated and truncated are never both true",
    "decision": "decisions lie within 0 to actions - 1",
    "worth": "the worth of what was decided is the team's reward",
    "successor": "successor equals observation in every slot whose lane did not end",
    "actions": "step leaves the actions as they were",
    "fresh": "a returned tensor, and a saved state, keeps its values when the environment goes on",
    "reset": "reset starts every time as seeded at construction",
    "state": "state changes nothing, and load_state continues bit-exactly from it",
}
"""Rule to what it demands; a violation names its rule."""


def check_env(env: VectorEnv, steps: int = 256, seed: int = 0) -> None:
    """Play random actions and check every promise of `VectorEnv` on the way.

    Ends of lanes are checked only where they happen within `steps`, so give it more steps than the longest lane.

    Args:
        env: Environment to check; it is reset, and left after the last step.
        steps: Steps of every slot, at least 1.
        seed: Seeds the actions.

    Raises:
        CustodesError: A promise is broken; the message names the rule and the step.
    """
    if steps < 1:
        raise CustodesError(f"{steps} steps check nothing", where="check_env", fix="use at least 1")
    _check_sizes(env)
    generator = torch.Generator().manual_seed(seed)
    script: list[Tensor] = []
    first = env.reset()
    _check_observation(env, first, "reset")
    played = _Record(first)
    observation, halfway, saved, current = first, steps // 2, env.state(), first
    kept = _copy(saved)
    for index in range(steps):
        if index == halfway:
            saved, current = env.state(), observation
            kept = _copy(saved)
        actions = _random_actions(env, observation, generator)
        script.append(actions.clone())
        step = env.step(actions)
        _check_step(env, step, f"step {index}")
        if not torch.equal(actions, script[-1]):
            _broken("actions", f"step {index}")
        played.add(step)
        observation = step.observation
    played.check_unchanged()
    if not _same_state(saved, kept):
        _broken("fresh", f"state before step {halfway}", "return copies from state()")
    _check_state(env, saved, current, script[halfway:], played.steps[halfway:])
    _check_reset(env, script, played)


class _Record:
    """What an environment returned, beside copies made at once.

    Args:
        first: Observation of the reset.
    """

    def __init__(self, first: Observation) -> None:
        self.first = _observation_tensors(first)
        self.steps: list[list[Tensor]] = []
        self._returned: list[list[Tensor]] = []
        self._first_copy = [tensor.clone() for tensor in self.first]

    def add(self, step: Step) -> None:
        """Keep a step."""
        tensors = _step_tensors(step)
        self._returned.append(tensors)
        self.steps.append([tensor.clone() for tensor in tensors])

    def check_unchanged(self) -> None:
        """What was returned must still be what it was."""
        if not _equal(self.first, self._first_copy):
            _broken("fresh", "reset", "return new tensors, not a buffer that is written again")
        for index, (now, then) in enumerate(zip(self._returned, self.steps, strict=True)):
            if not _equal(now, then):
                _broken("fresh", f"step {index}", "return new tensors, not a buffer that is written again")


def _check_sizes(env: VectorEnv) -> None:
    """Rule `sizes`."""
    for name in ("slots", "agents", "inputs", "central_inputs", "actions"):
        value = getattr(env, name)
        if type(value) is not int or value < 1:
            _broken("sizes", f"{name} = {value!r}")


def _check_observation(env: VectorEnv, observation: Observation, where: str) -> None:
    """Rules `shape`, `dtype`, `finite` and `mask` of one observation."""
    slots, agents = env.slots, env.agents
    _check_tensor(observation.agents, (slots, agents, env.inputs), torch.float32, f"{where}, agents")
    _check_tensor(observation.central, (slots, env.central_inputs), torch.float32, f"{where}, central")
    if observation.mask is not None:
        _check_tensor(observation.mask, (slots, agents, env.actions), torch.bool, f"{where}, mask")
        if not bool(observation.mask.any(-1).all()):
            _broken("mask", where)


def _check_step(env: VectorEnv, step: Step, where: str) -> None:
    """Every rule that one step can break."""
    _check_observation(env, step.observation, f"{where}, observation")
    _check_observation(env, step.successor, f"{where}, successor")
    slots = (env.slots,)
    _check_tensor(step.reward, (env.slots, env.agents), torch.float32, f"{where}, reward")
    _check_tensor(step.team_reward, slots, torch.float32, f"{where}, team_reward")
    _check_tensor(step.terminated, slots, torch.bool, f"{where}, terminated")
    _check_tensor(step.truncated, slots, torch.bool, f"{where}, truncated")
    _check_tensor(step.decision, slots, torch.int64, f"{where}, decision")
    _check_tensor(step.label, slots, torch.int64, f"{where}, label")
    if step.worth is not None:
        _check_tensor(step.worth, (env.slots, env.actions), torch.float32, f"{where}, worth")
        if not torch.equal(step.worth.gather(1, step.decision[:, None])[:, 0], step.team_reward):
            _broken("worth", where)
    if bool((step.terminated & step.truncated).any()):
        _broken("ends", where, "a lane that ended was not cut")
    if int(step.decision.min()) < 0 or int(step.decision.max()) >= env.actions:
        _broken("decision", where)
    going = ~(step.terminated | step.truncated)
    pair = _observation_tensors(step.observation), _observation_tensors(step.successor)
    if not _equal([tensor[going] for tensor in pair[0]], [tensor[going] for tensor in pair[1]]):
        _broken("successor", where)


def _check_tensor(value: Tensor, shape: tuple[int, ...], dtype: torch.dtype, where: str) -> None:
    """Rules `shape`, `dtype` and `finite` of one tensor."""
    if tuple(value.shape) != shape:
        _broken("shape", f"{where}: {list(value.shape)} is not {list(shape)}")
    if value.dtype != dtype:
        _broken("dtype", f"{where}: {value.dtype} is not {dtype}")
    if dtype.is_floating_point and not bool(value.isfinite().all()):
        _broken("finite", where)


def _check_state(
    env: VectorEnv, saved: dict[str, Tensor], current: Observation, script: list[Tensor], steps: list[list[Tensor]]
) -> None:
    """Rule `state`: what followed a saved state follows it again, also when states are taken on the way."""
    restored = env.load_state(_copy(saved))
    if not _equal(_observation_tensors(restored), _observation_tensors(current)):
        _broken("state", "load_state returns another observation than the one that was current")
    if not _same_state(env.state(), saved):
        _broken("state", "state() after load_state() differs from what was loaded")
    for index, (actions, expected) in enumerate(zip(script, steps, strict=True)):
        env.state()
        if not _equal(_step_tensors(env.step(actions.clone())), expected):
            _broken("state", f"step {index} after load_state", "put every cursor and generator into state()")


def _check_reset(env: VectorEnv, script: list[Tensor], played: _Record) -> None:
    """Rule `reset`: the same actions lead the same way again."""
    if not _equal(_observation_tensors(env.reset()), played.first):
        _broken("reset", "first observation", "seed every generator in reset()")
    for index, (actions, expected) in enumerate(zip(script, played.steps, strict=True)):
        if not _equal(_step_tensors(env.step(actions.clone())), expected):
            _broken("reset", f"step {index}", "seed every generator in reset()")


def _random_actions(env: VectorEnv, observation: Observation, generator: torch.Generator) -> Tensor:
    """Allowed actions, int64 [B, A], on the environment's device."""
    shape = (env.slots, env.agents)
    if observation.mask is None:
        return torch.randint(0, env.actions, shape, generator=generator).to(observation.central.device)
    weights = observation.mask.reshape(-1, env.actions).to("cpu", torch.float32)
    drawn = torch.multinomial(weights, 1, generator=generator)
    return drawn.reshape(shape).to(observation.central.device)


def _observation_tensors(observation: Observation) -> list[Tensor]:
    """The tensors of an observation."""
    mask = [] if observation.mask is None else [observation.mask]
    return [observation.agents, observation.central, *mask]


def _step_tensors(step: Step) -> list[Tensor]:
    """The tensors of a step."""
    ends = [step.terminated, step.truncated]
    seen = _observation_tensors(step.observation) + _observation_tensors(step.successor)
    return [*seen, step.reward, step.team_reward, *ends, step.decision, step.label]


def _equal(left: Iterable[Tensor], right: Iterable[Tensor]) -> bool:
    """Bit for bit the same tensors."""
    pairs = list(left), list(right)
    return len(pairs[0]) == len(pairs[1]) and all(map(torch.equal, *pairs))


def _copy(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The same state in memory of its own."""
    return {name: value.clone() for name, value in state.items()}


def _same_state(left: dict[str, Tensor], right: dict[str, Tensor]) -> bool:
    """Bit for bit the same state."""
    return left.keys() == right.keys() and all(torch.equal(value, right[name]) for name, value in left.items())


def _broken(rule: str, where: str, fix: str = "") -> NoReturn:
    """Say which rule does not hold, and where."""
    raise CustodesError(f"rule '{rule}' is broken: {RULES[rule]}", where=where, fix=fix)
