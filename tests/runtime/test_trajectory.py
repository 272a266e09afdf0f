"""Trajectories: inner products of scores and samples, beside those computed from what forward hooks see."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from frdiff_tune.errors import MismatchError
from frdiff_tune.runtime import record_trajectory
from frdiff_tune.runtime.variable import Variable
from tests.tiny import tiny_dit, tiny_sd

STEPS, GUIDANCE = 5, 3.0


def draw(pipe: Any, seed: int = 0, steps: int = STEPS) -> Tensor:
    given: dict[str, Any] = {"prompt": "a fox"} if hasattr(pipe, "unet") else {"class_labels": [1]}
    call = {**given, "num_inference_steps": steps, "guidance_scale": GUIDANCE, "output_type": "np"}
    return torch.as_tensor(pipe(**call, generator=torch.Generator().manual_seed(seed)).images)


def seen(pipe: Any, module: Any, seeds: tuple[int, ...]) -> tuple[list[Tensor], list[Tensor], Tensor]:
    """Returns guided outputs and inputs of all steps, run after run, and the last picture."""
    outputs: list[Tensor] = []
    inputs: list[Tensor] = []

    def hook(_: Any, args: Any, kwargs: Any, output: Any) -> None:
        x = args[0] if args else kwargs["hidden_states"]
        first, second = output[0][:, : x.shape[1]].chunk(2)
        unconditional, conditional = (second, first) if pipe.__class__.__name__.startswith("DiT") else (first, second)
        outputs.append((unconditional + GUIDANCE * (conditional - unconditional)).flatten().double())
        inputs.append(x.chunk(2)[0].flatten().double())

    handle = module.register_forward_hook(hook, with_kwargs=True)
    try:
        for seed in seeds:
            picture = draw(pipe, seed)
    finally:
        handle.remove()
    return outputs, inputs, picture


def product(rows: list[Tensor]) -> Any:
    stacked = torch.stack(rows)
    return (stacked @ stacked.T / stacked.shape[1]).numpy()


@pytest.mark.parametrize("make", [tiny_sd, tiny_dit])
def test_what_is_recorded_is_what_hooks_see(make: Any) -> None:
    pipe = make("v_prediction")
    module = pipe.unet if hasattr(pipe, "unet") else pipe.transformer
    outputs, inputs, plain = seen(pipe, module, (0, 1))
    with record_trajectory(pipe, STEPS, guidance=GUIDANCE) as records:
        draw(pipe, 0)
        recorded = draw(pipe, 1)
    found = records.trajectory
    assert torch.equal(recorded, plain) and torch.equal(draw(pipe, 1), plain)
    assert found.grams.shape == (2, 2 * STEPS, 2 * STEPS) and found.times == tuple(pipe.scheduler.timesteps.tolist())
    for case in range(2):
        rows = slice(case * STEPS, (case + 1) * STEPS)
        assert np.allclose(found.gram("output")[case], product(outputs[rows]), rtol=1e-5, atol=1e-7)
        assert np.allclose(found.grams[case], product([*outputs[rows], *inputs[rows]]), rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("variable", ["epsilon", "sample"])
def test_other_variables_are_those_of_the_scheduler(variable: Variable) -> None:
    """With v-prediction the noise is alpha v + sigma x, the clean sample alpha x - sigma v."""
    pipe = tiny_sd("v_prediction")
    outputs, inputs, _ = seen(pipe, pipe.unet, (0,))
    with record_trajectory(pipe, STEPS, guidance=GUIDANCE) as records:
        draw(pipe)
    alphas = [float(pipe.scheduler.alphas_cumprod[int(time)]) ** 0.5 for time in records.times]
    rows = []
    for v, x, alpha in zip(outputs, inputs, alphas, strict=True):
        sigma = (1 - alpha**2) ** 0.5
        rows.append(alpha * v + sigma * x if variable == "epsilon" else alpha * x - sigma * v)
    assert np.allclose(records.trajectory.gram(variable)[0], product(rows), rtol=1e-4, atol=1e-6)


def test_another_walk_is_read_between_the_recorded_steps() -> None:
    pipe = tiny_sd()
    with record_trajectory(pipe, STEPS) as records:
        draw(pipe)
    found = records.trajectory
    own = found.gram("epsilon")
    assert np.array_equal(found.gram("epsilon", found.times), own)
    halfway = (found.times[0] + found.times[1]) / 2
    read = found.gram("epsilon", (halfway, found.times[1]))
    assert np.isclose(read[0, 1, 1], own[0, 1, 1]) and np.isclose(read[0, 0, 1], (own[0, 0, 1] + own[0, 1, 1]) / 2)


def test_few_entries_are_the_same_at_all_steps_and_near_the_whole() -> None:
    pipe = tiny_sd()
    found = []
    for entries in (64, 4096):
        with record_trajectory(pipe, STEPS, entries=entries) as records:
            draw(pipe)
        found.append(records.trajectory.gram("output")[0])
    few, whole = found
    likeness = few[0, 1] / (few[0, 0] * few[1, 1]) ** 0.5, whole[0, 1] / (whole[0, 0] * whole[1, 1]) ** 0.5
    assert not np.array_equal(few, whole) and abs(likeness[0] - likeness[1]) < 0.2


def test_a_broken_run_is_not_recorded_and_nothing_is_left_behind() -> None:
    pipe = tiny_sd()
    before, plain = vars(pipe.unet).copy(), draw(pipe)
    with pytest.raises(RuntimeError, match="stop"), record_trajectory(pipe, STEPS) as records:
        handle = pipe.unet.mid_block.register_forward_pre_hook(lambda *_: (_ for _ in ()).throw(RuntimeError("stop")))
        try:
            draw(pipe)
        finally:
            handle.remove()
    with pytest.raises(MismatchError, match="must hold a run of 5 steps but holds none"):
        _ = records.trajectory
    assert vars(pipe.unet).keys() == before.keys() and torch.equal(draw(pipe), plain)
