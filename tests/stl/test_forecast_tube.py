"""The worst case inside a tube: below every trajectory inside, reached by some, equal on a tube without width."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from custodes.stl.batched import evaluate
from custodes.stl.forecast import worst_robustness
from custodes.stl.formula import Fold, Formula, walk
from custodes.stl.parser import parse
from tests.stl.generate import SIGNALS, Grammar, random_formula

LENGTH = 12


def tube(seed: int, width: float) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    source = torch.Generator().manual_seed(seed)
    centre = {name: torch.randn(1, LENGTH, dtype=torch.float64, generator=source) for name in SIGNALS}
    radius = {name: width * torch.rand(1, LENGTH, dtype=torch.float64, generator=source) for name in SIGNALS}
    return {n: centre[n] - radius[n] for n in SIGNALS}, {n: centre[n] + radius[n] for n in SIGNALS}


def inside(lower: dict[str, Tensor], upper: dict[str, Tensor], count: int, seed: int) -> dict[str, Tensor]:
    """Random members of the tube, corners among them."""
    source = torch.Generator().manual_seed(seed)
    made = {}
    for name in lower:
        share = torch.rand(count, LENGTH, dtype=torch.float64, generator=source)
        share[: count // 2] = share[: count // 2].round()
        made[name] = lower[name] + share * (upper[name] - lower[name])
    return made


def exact_but_for_rounding(formula: Formula) -> float:
    return 1e-9 if any(isinstance(each, Fold) for each in walk(formula)) else 1e-12


@pytest.mark.parametrize("seed", range(60))
def test_no_trajectory_inside_is_worse(seed: int) -> None:
    formula = random_formula(np.random.default_rng(seed), Grammar(depth=3))
    lower, upper = tube(seed, 0.4)
    bound = worst_robustness(formula, lower, upper)
    values = evaluate(formula, inside(lower, upper, 200, seed)).value
    assert bool((values >= bound - exact_but_for_rounding(formula)).all())


@pytest.mark.parametrize("seed", range(60))
def test_a_tube_without_width_is_the_trajectory(seed: int) -> None:
    # `x == x` and the like see one signal twice: still exact, since there is no width to be apart in.
    formula = random_formula(np.random.default_rng(1000 + seed), Grammar(depth=3))
    lower, _ = tube(seed, 0.0)
    expected = evaluate(formula, lower).value
    torch.testing.assert_close(worst_robustness(formula, lower, lower), expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("x > 0", -1.0),
        ("not (x > 0)", -2.0),
        ("x - y > 0", -4.0),
        ("(x > 0) -> (y > 0)", 1.0),
        ("(x > 0) <-> (y > 0)", -1.0),
        ("abs(x) > 0.5", -0.5),
        ("x != 0", 0.0),
        ("x == 0", -2.0),
        ("x * y > 0", -3.0),
        ("1 / x > 0", -torch.inf),
        ("y / x > 0", -torch.inf),
        ("x / y > 0", -1.0),
        ("2 * x > 0", -2.0),
        ("(x > 0) release (y > 0)", 1.0),
        ("mean(x, 3) > 0", -1.0),
        ("count(x > 0, 3) <= 2", -1.0),
        ("rate(y > 0, 3) >= 0.9", 0.1),
        ("at least 2 of 3 (x > 0)", -torch.inf),
        ("true", torch.inf),
    ],
)
def test_by_hand(text: str, expected: float) -> None:
    """With x in [-1, 2] and y in [1, 3] (`x * y` in [-3, 6]), at the first sample; count's window then holds one."""
    lower = {"x": torch.full((1, 4), -1.0, dtype=torch.float64), "y": torch.full((1, 4), 1.0, dtype=torch.float64)}
    upper = {"x": torch.full((1, 4), 2.0, dtype=torch.float64), "y": torch.full((1, 4), 3.0, dtype=torch.float64)}
    at = 2 if text.startswith("count") else 0
    assert float(worst_robustness(parse(text), lower, upper)[0, at]) == pytest.approx(expected, abs=1e-12)


def test_float32_stays_float32() -> None:
    values = {"x": torch.zeros(2, 5)}
    assert worst_robustness(parse("1 / x > 0"), values, values).dtype == torch.float32
