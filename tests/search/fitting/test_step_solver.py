"""The weights of one step, against cases worked by hand."""

import pytest
import torch

from frdiff_tune.errors import SpaceError
from frdiff_tune.search.fitting import FitOptions, solve_step

CASES, ENTRIES = 12, 64


def noise(seed: int) -> torch.Tensor:
    return torch.randn(CASES, ENTRIES, generator=torch.Generator().manual_seed(seed))


def test_weights_that_explain_the_next_state_are_recovered() -> None:
    x, z0, z1 = noise(0), noise(1), noise(2)
    target = 0.5 * x + 0.8 * z0 - 0.3 * z1
    row = solve_step(x, [z0, z1], target, (0.4, 0.6), (1.0, 1.0), FitOptions(memory=2, ridge=0.0))
    assert row.c == pytest.approx(0.5, abs=1e-6)
    assert row.b == pytest.approx((0.8, -0.3), abs=1e-6)
    assert row.residual < 1e-6


def test_the_weight_of_the_state_stays_where_it_is_not_free() -> None:
    x, z0 = noise(0), noise(1)
    row = solve_step(x, [z0], 0.5 * x + 0.8 * z0, (0.4, 0.6), (1.0, 1.0), FitOptions(ridge=0.0, free_state=False))
    assert row.c == 0.4
    assert row.b[0] == pytest.approx(0.8, abs=0.05), "noise hardly looks like noise"


def test_a_strong_ridge_is_the_first_order_solver() -> None:
    x, z0, z1 = noise(0), noise(1), noise(2)
    row = solve_step(x, [z0, z1], noise(3), (0.4, 0.6), (1.0, 1.0), FitOptions(memory=2, ridge=1e9))
    assert (row.c, *row.b) == pytest.approx((0.4, 0.6, 0.0), abs=1e-6)


def test_a_case_that_became_another_picture_decides_nothing() -> None:
    x, z0 = noise(0), noise(1)
    target = 0.5 * x + 0.8 * z0 + 0.001 * noise(5)
    target[3] = 50.0
    row = solve_step(x, [z0], target, (0.4, 0.6), (1.0, 1.0), FitOptions(ridge=0.0))
    assert (row.c, *row.b) == pytest.approx((0.5, 0.8), abs=0.01)
    plain = torch.linalg.lstsq(torch.stack([x.flatten(), z0.flatten()], 1), target.flatten()[:, None]).solution.flatten()
    assert abs(float(plain[1]) - 0.8) > 0.05, "without weights it decides"


def test_noise_levels_do_not_change_what_the_ridge_means() -> None:
    """In variance-exploding coordinates a state of 700 times the energy is pulled no less."""
    x, z0, target = noise(0), noise(1), noise(2)
    near = solve_step(x, [z0], target, (0.4, 0.6), (1.0, 1.0), FitOptions(ridge=0.1))
    far = solve_step(700 * x, [z0], 700 * target, (0.4, 0.6 * 700), (700.0, 700.0), FitOptions(ridge=0.1))
    assert (far.c, far.b[0] / 700) == pytest.approx((near.c, near.b[0]), rel=1e-5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"memory": 0}, "`memory` must lie in"),
        ({"memory": True}, "`memory`"),
        ({"ridge": -1.0}, "`ridge`"),
        ({"ridge": float("nan")}, "`ridge`"),
    ],
)
def test_bad_options_are_refused(options: dict[str, float], message: str) -> None:
    with pytest.raises(SpaceError, match=message):
        FitOptions(**options)  # type: ignore[arg-type]
