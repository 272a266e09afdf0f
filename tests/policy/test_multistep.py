"""Policies that walk a part of the reference's grid by tables, and files of version 1."""

import json
from pathlib import Path
from typing import Any

import pytest

from frdiff_tune.errors import PolicyError
from frdiff_tune.policy import Fit, Grid, Policy, Sampling, SchedulerInfo
from tests.policy.toy import toy_policy

TABLES: dict[str, Any] = {
    "timesteps": [900, 500],
    "alphas": [0.1, 0.5, 1.0],
    "sigmas": [0.9, 0.5, 0.0],
    "s": [1.0, 1.0],
    "r": [0.5, 0.5],
    "c": [0.5, 0.0],
    "b": [[1.0], [2.0, -1.0]],
    "input_scales": [1.0, 1.0],
    "variable": "sample",
}
FIT = Fit(
    cases="0" * 64, count=48, seeds=(0, 1), num_inference_steps=50, memory=3, ridge=1e-3, residuals=(0.1, 0.2), latent_error=0.1
)


def tables_policy(grid: Grid | None = None, **changes: Any) -> Policy:
    scheduler = SchedulerInfo(name="LinearMultistepScheduler", config={**TABLES, **changes})
    sampling = Sampling(num_inference_steps=2, T=2, scheduler=scheduler, grid=grid)
    return Policy(model=toy_policy().model, sampling=sampling, keyframes="11", mixing=(1.0, 1.0))


def test_the_digest_covers_tables_and_grid_but_not_the_fit() -> None:
    grid = Grid(num_inference_steps=50, T=50, steps=(0, 20))
    policy = tables_policy(grid)
    assert policy.replace(fit=FIT).digest == policy.digest
    assert tables_policy(grid.model_copy(update={"steps": (0, 21)})).digest != policy.digest
    assert tables_policy(grid, c=[0.4, 0.0]).digest != policy.digest


def test_a_policy_without_a_grid_has_the_digest_of_version_1() -> None:
    path = Path(__file__).parents[1] / "data" / "policy_v1.json"
    assert json.loads(path.read_text())["schema_version"] == 1
    policy = Policy.load(path)
    assert policy.schema_version == 2
    assert policy.digest == "46b4529b3fa17f2a50153a1dca883bbe85a111ccb1b2bf5e48f5ade9686a1621"


@pytest.mark.parametrize(
    ("grid", "changes", "message"),
    [
        (None, {"c": [0.5]}, "`c` must have 2 entries for 2 steps but got 1"),
        (None, {"c": [0.5, float("inf")]}, "must be finite|finite number"),
        (None, {"timesteps": [900], **{name: TABLES[name][:1] for name in ("s", "r", "c", "b", "input_scales")}}, "alphas"),
        (Grid(num_inference_steps=50, T=50, steps=(0,)), {}, "`steps` must have length T = 2 but got 1"),
        (Grid(num_inference_steps=50, T=50, steps=(1, 2)), {}, "`steps` must begin at 0"),
        (Grid(num_inference_steps=50, T=50, steps=(0, 0)), {}, "`steps` must increase"),
        (Grid(num_inference_steps=50, T=50, steps=(0, 50)), {}, r"`steps` must lie in \[0, 50\)"),
    ],
)
def test_tables_and_grids_that_break_a_rule_are_refused(grid: Grid | None, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(PolicyError, match=message):
        tables_policy(grid, **changes)


def test_a_grid_needs_tables() -> None:
    policy = toy_policy()
    sampling = policy.sampling.model_copy(update={"grid": Grid(num_inference_steps=50, T=50, steps=(0, 20))})
    with pytest.raises(PolicyError, match="`sampling.grid` must stand beside a LinearMultistepScheduler"):
        policy.replace(sampling=sampling)


def test_a_table_of_another_length_than_the_step_count_is_refused() -> None:
    policy = tables_policy()
    sampling = policy.sampling.model_copy(update={"num_inference_steps": 3})
    with pytest.raises(PolicyError, match="`sampling.num_inference_steps` must be 2"):
        policy.replace(sampling=sampling)


def test_tables_cannot_be_stretched() -> None:
    with pytest.raises(PolicyError, match="can be set to 4 steps but its LinearMultistepScheduler holds tables for 2 only"):
        tables_policy().resample(4)
