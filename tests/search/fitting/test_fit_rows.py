"""Every supported pipeline can be fitted, whatever its family, guidance, task and noise schedule."""

from typing import Any

import pytest
import torch

from frdiff_tune.errors import MismatchError
from frdiff_tune.measure.bench import Bench
from frdiff_tune.runtime.schedulers import LinearMultistepScheduler
from frdiff_tune.search.fitting import FitOptions, drain, fit_steps, walk_steps
from tests.pipelines import ROWS
from tests.search.fitting.tiny_fit import calls_of, recorded, start

STEPS = 4
OPTIONS = FitOptions(memory=3)


def _pipe(name: str) -> Any:
    pipe = ROWS[name].make()
    if name == "DDIM":  # its scheduler clips by default, which no table can
        pipe.scheduler = type(pipe.scheduler).from_config(pipe.scheduler.config, clip_sample=False)
    return pipe


@pytest.mark.parametrize("name", [name for name in ROWS if name != "DDPM"])
def test_a_fit_is_nearer_than_the_known_solver_and_draws_as_its_scheduler_does_alone(name: str) -> None:
    row, pipe = ROWS[name], _pipe(name)
    calls = calls_of(row)
    with Bench(pipe) as bench:
        states = recorded(bench, calls)
        policy = start(row, pipe, states, _grid(states.walk.T))
        known = drain(walk_steps(bench, policy, calls, states))
        fitted = drain(fit_steps(bench, policy, calls, states, OPTIONS))
        assert fitted.latent_error < known.latent_error
        assert len(fitted.residuals) == policy.T == policy.nfe
        again = drain(walk_steps(bench, fitted.policy, calls, states))
        assert again.errors == pytest.approx(fitted.errors, rel=1e-3, abs=1e-6), "the tables draw what the fit drew"
    sampling = fitted.policy.sampling
    with Bench(pipe) as bench:
        bench.use(fitted.policy)
        drawn = _render(row, bench.applied)
    pipe.scheduler = LinearMultistepScheduler.from_config(dict(sampling.scheduler.config))
    assert torch.equal(_render(row, pipe, num_inference_steps=sampling.num_inference_steps), drawn), "on a bare pipeline, too"


def _grid(T: int) -> list[int]:
    """Returns four steps of T, from its first to its last, which shifted flows need: they move most at their end."""
    return [round(i * (T - 1) / (STEPS - 1)) for i in range(STEPS)]


def _render(row: Any, call: Any, **more: Any) -> torch.Tensor:
    arguments = {**row.call(0, 1, 1), **more, "generator": torch.Generator().manual_seed(0), "return_dict": False}
    torch.manual_seed(0)
    with torch.no_grad():
        result = call(**arguments)[0]
    return torch.as_tensor(result[0] if isinstance(result, (list, tuple)) else result).float()


def test_a_random_reference_is_refused() -> None:
    row = ROWS["DDPM"]
    with Bench(row.make()) as bench, pytest.raises(MismatchError, match="DDPMScheduler adds noise"):
        recorded(bench, calls_of(row))
