"""The linear multistep scheduler, by hand-worked tables and on bare pipelines."""

import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from frdiff_tune.errors import MismatchError, PolicyError
from frdiff_tune.runtime.schedulers import LinearMultistepScheduler, expand_scheduler
from tests.pipelines import ROWS

TABLES: dict[str, Any] = {
    "timesteps": [900, 500, 100],
    "alphas": [0.1, 0.5, 0.9, 1.0],
    "sigmas": [0.9, 0.5, 0.1, 0.0],
    "s": [2.0, 1.0, 1.0],
    "r": [0.5, 0.0, 1.0],
    "c": [0.5, 1.0, 0.0],
    "b": [[1.0], [2.0, -1.0], [1.0, 0.5, 0.25]],
    "input_scales": [1.0, 2.0, 1.0],
}


def run(scheduler: LinearMultistepScheduler, outputs: list[float], start: float, begin: int | None = None) -> list[float]:
    scheduler.set_timesteps(len(scheduler))
    if begin is not None:
        scheduler.set_begin_index(begin)
    state, states = torch.full((1, 1, 2, 2), start), []
    for output, time in zip(outputs, scheduler.timesteps[begin or 0 :], strict=True):
        state = scheduler.step(torch.full_like(state, output), time, state, return_dict=False)[0]
        states.append(float(state[0, 0, 0, 0]))
    return states


def test_steps_are_those_of_the_tables() -> None:
    # x = 4; z = (2 * 1 + .5 * 4, 2, 3 + x2), x = (.5 * 4 + 4, 6 + 4 - 4, 0 + 9 + 1 + 1)
    assert run(LinearMultistepScheduler(**TABLES), [1.0, 2.0, 3.0], 4.0) == [6.0, 6.0, 11.0]


def test_a_second_run_sees_nothing_of_the_first() -> None:
    scheduler = LinearMultistepScheduler(**TABLES)
    first = run(scheduler, [1.0, 2.0, 3.0], 4.0)
    run(scheduler, [float("nan")] * 3, 1.0)
    assert run(scheduler, [1.0, 2.0, 3.0], 4.0) == first


def test_a_run_frees_what_it_stored() -> None:
    scheduler = LinearMultistepScheduler(**TABLES)
    run(scheduler, [1.0, 2.0, 3.0], 4.0)
    assert not scheduler._slots


def test_a_walk_that_begins_later_takes_first_order_steps_until_predictions_are_there() -> None:
    # step 1 weighs two predictions, of which one is there: DDIM, c = .1 / .5, b = .9 - .5 * .2; step 2 weighs three
    states = run(LinearMultistepScheduler(**TABLES), [2.0, 3.0], 1.0, begin=1)
    assert states == pytest.approx([0.2 * 1.0 + 0.8 * 2.0, 3.0 + 1.8])  # c = 0 / .1, b = 1


def test_input_is_scaled_by_the_step() -> None:
    scheduler = LinearMultistepScheduler(**TABLES)
    scheduler.set_timesteps(3)
    state = torch.ones(1, 1, 2, 2)
    assert torch.equal(scheduler.scale_model_input(state, scheduler.timesteps[0]), state)
    scheduler.step(state, scheduler.timesteps[0], state)
    assert torch.equal(scheduler.scale_model_input(state, scheduler.timesteps[1]), state / 2)


def test_noise_is_added_at_the_level_of_the_step() -> None:
    scheduler = LinearMultistepScheduler(**TABLES)
    scheduler.set_timesteps(3)
    clean, noise = torch.full((2, 1), 2.0), torch.full((2, 1), 3.0)
    noised = scheduler.add_noise(clean, noise, torch.tensor([500, 500]))
    assert torch.allclose(noised, torch.full((2, 1), 0.5 * 2 + 0.5 * 3))
    scheduler.set_begin_index(2)
    assert torch.allclose(scheduler.scale_noise(clean, scheduler.timesteps[2:], noise), torch.full((2, 1), 0.9 * 2 + 0.1 * 3))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_a_step_keeps_the_dtype_and_computes_in_float32(dtype: torch.dtype) -> None:
    scheduler = expand_scheduler(ROWS["SD text to image"].make().scheduler, 6)
    scheduler.set_timesteps(6)
    state, output = torch.randn(2, 1, 4, 8, 8, generator=torch.Generator().manual_seed(0)).to(dtype)
    narrow = scheduler.step(output, scheduler.timesteps[0], state).prev_sample
    scheduler.set_timesteps(6)
    wide = scheduler.step(output.float(), scheduler.timesteps[0], state.float()).prev_sample
    assert narrow.dtype == dtype
    assert torch.equal(narrow, wide.to(dtype)), "only the result is rounded"


class Operations(TorchDispatchMode):
    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.names.append(str(func))
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
@pytest.mark.parametrize("row", ["SD text to image", "SD 3"])
def test_a_step_takes_at_most_six_operations_and_reads_no_number(row: str, dtype: torch.dtype) -> None:
    scheduler = expand_scheduler(ROWS[row].make().scheduler, 6)
    scheduler.set_timesteps(6)
    state = torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(0)).to(dtype)
    for i, time in enumerate(scheduler.timesteps):
        with Operations() as seen:
            state = scheduler.step(state, time, state, return_dict=False)[0]
        assert "aten._local_scalar_dense.default" not in seen.names
        assert i == 0 or len(seen.names) <= 6, seen.names


def test_a_bare_pipeline_runs_it_and_saves_it(tmp_path: Path) -> None:
    row = ROWS["SD text to image"]
    pipe = row.make()
    plain = row.render(pipe)
    pipe.scheduler = expand_scheduler(pipe.scheduler, row.steps)
    tables = row.render(pipe)
    assert (tables - plain).norm() / plain.norm() < 1e-5
    pipe.scheduler.save_pretrained(tmp_path)
    pipe.scheduler = LinearMultistepScheduler.from_pretrained(tmp_path)
    assert torch.equal(row.render(pipe), tables)
    pipe.scheduler = LinearMultistepScheduler.from_config(pipe.scheduler.config)
    assert torch.equal(row.render(pipe), tables)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"timesteps": []}, "`timesteps` must list at least one time"),
        ({"c": [1.0]}, "`c` must have 3 entries for 3 steps but got 1"),
        ({"alphas": [1.0, 1.0, 1.0]}, "`alphas` must have 4 entries"),
        ({"c": [1.0, float("nan"), 1.0]}, r"`c\[1\]` must be finite but got nan"),
        ({"b": [[1.0], [float("inf")], [1.0]]}, r"`b\[1\]` must be finite but got inf"),
        ({"b": [[1.0, 1.0], [1.0], [1.0]]}, r"`b\[0\]` must weigh 1 to 1 predictions"),
        ({"b": [[], [1.0], [1.0]]}, r"`b\[0\]` must weigh 1 to 1 predictions"),
        ({"variable": "output"}, "`variable` must be one of"),
    ],
)
def test_bad_tables_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(PolicyError, match=message):
        LinearMultistepScheduler(**{**TABLES, **changes})


def test_other_walks_are_refused() -> None:
    scheduler = LinearMultistepScheduler(**TABLES)
    with pytest.raises(MismatchError, match="`num_inference_steps` must be 3, .* but got 4"):
        scheduler.set_timesteps(4)
    with pytest.raises(MismatchError, match="`timesteps` must be those"):
        scheduler.set_timesteps(timesteps=[900, 500, 101])
    scheduler.set_timesteps(timesteps=[900, 500, 100])
    state = torch.ones(1, 1, 2, 2)
    with pytest.raises(MismatchError, match="`eta` must be 0"):
        scheduler.step(state, 900, state, eta=0.5)
    for time in scheduler.timesteps:
        scheduler.step(state, time, state)
    with pytest.raises(MismatchError, match="must be called 3 times"):
        scheduler.step(state, 100, state)


def test_a_call_at_another_resolution_is_warned_of() -> None:
    row = ROWS["FLUX text to image"]
    pipe = row.make()
    row.render(pipe)
    scheduler = pipe.scheduler
    scheduler._step_index = scheduler._begin_index = None
    pipe.scheduler = expand_scheduler(scheduler)
    pipe.scheduler.register_to_config(mu=0.5)
    with pytest.warns(UserWarning, match="made at a time shift of mu = 0.5 but the call has"):
        row.render(pipe)
    pipe.scheduler.register_to_config(mu=None)
    with warnings.catch_warnings():
        warnings.filterwarnings("error", "The tables of this scheduler")
        row.render(pipe)
