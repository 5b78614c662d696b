"""A callback for Stable-Baselines3 that records what its own logs lack (docs/doctor-foreign.md).

    from custodes.doctor.sb3 import DoctorCallback

    model = PPO("MlpPolicy", env)
    model.learn(200_000, callback=DoctorCallback("runs/mine"))

    custodes doctor runs/mine

It reads the rollout buffer before each update and changes nothing: no parameter, no statistic, no random generator.
Made for PPO and A2C; recurrent policies (sb3-contrib) are recorded without what needs their states in the update.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any, final

import torch

from custodes.doctor.foreign.record import RECORD
from custodes.doctor.foreign.sb3_measure import after_update, before_update, facts_of, gradients_of, parameters_of
from custodes.errors import CustodesError

try:
    from stable_baselines3.common.callbacks import BaseCallback
except ImportError as error:  # pragma: no cover - which of the two runs depends on what is installed
    raise ImportError("custodes.doctor.sb3 needs Stable-Baselines3: pip install stable-baselines3") from error


@final
class DoctorCallback(BaseCallback):  # type: ignore[misc]
    """Writes `doctor.jsonl`: facts on the first line, then a line per iteration.

    Args:
        folder: Where to; made where it is missing. A record that is there already is not touched.

    Raises:
        CustodesError: At the start of training: there is a record, or the folder refuses one.
    """

    def __init__(self, folder: str | Path) -> None:
        super().__init__()
        self._path = Path(folder) / RECORD
        self._iteration = 0
        self._line: dict[str, Any] | None = None
        self._steps = [0, 0]
        self._largest: dict[str, list[float]] = {}
        self._hook: Any = None
        self._before: Any = None

    def _on_training_start(self) -> None:
        if self._iteration == 0:
            self._begin()
        limit = float(getattr(self.model, "max_grad_norm", None) or math.inf)
        optimiser = self.model.policy.optimizer
        self._hook = optimiser.register_step_pre_hook(lambda o, *_: self._count(o, limit))

    def _begin(self) -> None:
        head = {"trainer": f"Stable-Baselines3 {type(self.model).__name__}", "facts": facts_of(self.model, self.locals)}
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._path.open("x", encoding="utf-8") as file:
                file.write(json.dumps(head) + "\n")
        except FileExistsError:
            raise CustodesError(
                "there is a record of another training", where=str(self._path), fix="name another folder"
            ) from None
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            raise CustodesError(
                f"cannot write it: {reason}", where=str(self._path), fix="name another folder"
            ) from None

    def _count(self, optimiser: Any, limit: float) -> None:
        """Count a gradient step, and whether its gradient was cut down to the limit."""
        parts = [p.grad.norm() for group in optimiser.param_groups for p in group["params"] if p.grad is not None]
        self._steps[0] += 1
        # Cut gradients have the limit's norm, but for the 1e-6 that torch divides by more.
        self._steps[1] += bool(parts) and float(torch.stack(parts).norm()) > limit * (1.0 - 1e-4)
        # The largest of an iteration: a value clip leaves no gradient at the head in the later steps of each.
        for name, norm in gradients_of(self.model).items():
            self._largest[name] = [max(norm, *self._largest.get(name, [0.0]))]

    def _on_step(self) -> bool:
        return True

    def _on_rollout_end(self) -> None:
        self._iteration += 1
        self._steps, self._largest = [0, 0], {}
        known = before_update(self.model)
        self._before = parameters_of(self.model)
        self._line = {"iteration": self._iteration, "decisions": int(self.num_timesteps), **known}

    def _on_rollout_start(self) -> None:
        self._finish()

    def _on_training_end(self) -> None:
        self._finish()
        if self._hook is not None:
            self._hook.remove()
            self._hook = None

    def _finish(self) -> None:
        """The update is over: write the line."""
        if self._line is None:
            return
        line = self._line | after_update(self.model, self._before)
        steps, cut = self._steps
        if steps:
            line |= {"gradient_steps": steps, "clipped_steps": cut / steps, **self._largest}
        self._line = None
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(_plain(line)) + "\n")


def _plain(value: Any) -> Any:
    """JSON has no NaN and no infinity."""
    if isinstance(value, dict):
        return {key: _plain(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_plain(part) for part in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else ("inf" if value > 0 else "-inf")
    return value
