"""Scores kept as clean sample, on every pipeline of the table: a jump holds what the solver itself would call x0.

What the solver sees is read off its own formulas, so that a family's sign and channels and the noise levels of the steps are
checked against diffusers, not against ourselves.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch import Tensor

from frdiff_tune import apply_policy
from frdiff_tune.errors import MismatchError
from tests.pipelines.subject import Subject
from tests.runtime.rendering import relative

NOT_LINEAR = {"Lumina 2": {"cfg_normalization": False}, "Stable Video Diffusion": {}}
"""Rows whose guidance bends scores, with what switches that off."""


@contextmanager
def seen_by_the_solver(scheduler: Any) -> Iterator[list[Tensor]]:
    """Records the clean sample that each step of a solver starts from."""
    found: list[Tensor] = []
    step = scheduler.step

    def recording(model_output: Tensor, timestep: Any, sample: Tensor, *args: Any, **kwargs: Any) -> Any:
        result = step(model_output, timestep, sample, *args, **kwargs)
        found.append(_clean(scheduler, model_output.double(), timestep, sample.double(), len(found)))
        return result

    object.__setattr__(scheduler, "step", recording)
    try:
        yield found
    finally:
        object.__setattr__(scheduler, "step", step)


def _clean(scheduler: Any, output: Tensor, timestep: Any, x: Tensor, i: int) -> Tensor:
    """Returns x0 by the solver's own formula."""
    table, kind = getattr(scheduler, "alphas_cumprod", None), scheduler.config.get("prediction_type")
    output = output[:, : x.shape[1]] if output.ndim == 4 else output  # learned variances follow
    if table is None or scheduler.config.get("use_flow_sigmas"):
        offset = len(scheduler.timesteps) - len(scheduler.sigmas) + 1
        begin = scheduler.begin_index or 0
        sigma: Tensor = scheduler.sigmas[begin + i + offset].double()
        return x + (1 - sigma) * output if scheduler.config.get("invert_sigmas") else x - sigma * output
    if "Euler" in type(scheduler).__name__:
        scaled: Tensor = scheduler.sigmas[i].double()
        return output * (-scaled / (scaled**2 + 1) ** 0.5) + x / (scaled**2 + 1)
    alpha: Tensor = table[int(timestep)].double()
    if kind == "v_prediction":
        return alpha.sqrt() * x - (1 - alpha).sqrt() * output
    return (x - (1 - alpha).sqrt() * output) / alpha.sqrt()


@pytest.mark.parametrize("variable", ["sample", "epsilon"])
def test_a_jump_holds_the_solver_s_own_clean_sample(subject: Subject, variable: str) -> None:
    T = subject.row.T
    policy = subject.policy([t for t in range(T) if t != 1], [0.0] * T, groups=[], variable=variable)
    if "CogView" in subject.name:
        with pytest.raises(MismatchError, match="must be 'output' for CogView4Transformer2DModel"):
            apply_policy(subject.pipe, policy)
        return
    options = NOT_LINEAR.get(subject.name, {})
    with apply_policy(subject.pipe, policy) as applied:
        with seen_by_the_solver(subject.pipe.scheduler) as clean:
            assert torch.isfinite(subject.render(applied, **options)).all()
        assert applied.trace.network == applied.policy.keyframes or applied.trace.forced
    if variable == "sample" and 1 not in applied.trace.forced and _holds(subject):
        assert relative(clean[1], clean[0]) < 1e-3
        assert relative(clean[2], clean[0]) > 1e-3


def _holds(subject: Subject) -> bool:
    """Whether the solver's x0 of the row is the network's: no scaling of guidance by frame or by norm stands between."""
    return subject.name not in ("Z-Image",)
