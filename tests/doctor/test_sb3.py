"""The callback in a real training; where Stable-Baselines3 is not installed only that nothing needs it is shown."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from custodes.doctor import diagnose
from custodes.doctor.foreign import read_foreign
from custodes.errors import CustodesError


def test_importing_the_doctor_imports_no_stable_baselines() -> None:
    code = "import sys, custodes.doctor, custodes.doctor.foreign.sb3_measure; print('stable_baselines3' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_training_is_recorded_and_not_changed(tmp_path: Path) -> None:
    sb3 = pytest.importorskip("stable_baselines3")
    import torch

    from custodes.doctor.sb3 import DoctorCallback

    weights = []
    for folder in (tmp_path / "run", None):
        model = sb3.PPO("MlpPolicy", "CartPole-v1", n_steps=128, seed=0, device="cpu")
        model.learn(640, callback=None if folder is None else DoctorCallback(folder))
        weights.append(torch.cat([p.detach().flatten() for p in model.policy.parameters()]))
    assert torch.equal(*weights)
    run = read_foreign(tmp_path / "run")
    assert run.trainer == "Stable-Baselines3 PPO"
    assert run.signals.iterations == (1, 2, 3, 4, 5)
    assert np.nanmax(run.signals["ratio_error"]) < 1e-6
    assert np.isfinite(run.signals["clipped_steps"]).all()
    assert not diagnose(run.signals).critical
    with pytest.raises(CustodesError, match="there is a record of another training"):
        sb3.PPO("MlpPolicy", "CartPole-v1", n_steps=128).learn(128, callback=DoctorCallback(tmp_path / "run"))
