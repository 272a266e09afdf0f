"""One denoiser, several pipelines and threads: right, or refused at the start; never mixed."""

import copy
import threading
from typing import Any

import pytest
import torch

from frdiff_tune import apply_policy, full_policy
from frdiff_tune.errors import MismatchError
from tests.pipelines import ROWS
from tests.pipelines.stable_diffusion import sd_as
from tests.runtime.mixed import SD, mixed


def _parts(pipe: Any) -> dict[str, Any]:
    return {name: part for name, part in pipe.components.items() if part is not None}


def _copy(scheduler: Any) -> Any:
    return type(scheduler).from_config(scheduler.config)


def test_pipelines_that_share_a_denoiser() -> None:
    pipe = SD.make()
    other = sd_as("StableDiffusionPipeline", **_parts(pipe))
    with apply_policy(pipe, mixed(pipe)) as applied:
        with pytest.raises(MismatchError, match="already follows one, put on through StableDiffusionPipeline"):
            apply_policy(other, mixed(other))
        right = SD.render(applied)
        assert torch.equal(SD.render(other), right), "the same scheduler object: the policy holds there, too"


def test_a_call_inside_another_call_is_refused_or_right() -> None:
    """A callback calls a second pipeline on the same denoiser: with the same scheduler refused, with its own right."""
    pipe = SD.make()
    shared = _parts(pipe)
    same = sd_as("StableDiffusionPipeline", **shared)
    own = sd_as("StableDiffusionPipeline", **{**shared, "scheduler": _copy(pipe.scheduler)})
    plain = SD.render(own)
    found: list[Any] = []

    def inside(_: Any, step: int, time: Any, tensors: dict[str, Any]) -> dict[str, Any]:
        if step == 2:
            found.append(SD.render(own))
            with pytest.raises(MismatchError, match="must finish one call before the next begins"):
                SD.render(same)
        return tensors

    with apply_policy(pipe, mixed(pipe)) as applied:
        right = SD.render(applied)
        assert torch.equal(SD.render(applied, callback_on_step_end=inside), right)
    assert torch.equal(found[0], plain)


def test_two_threads_on_one_denoiser() -> None:
    pipe = SD.make()
    shared = _parts(pipe)
    own = sd_as("StableDiffusionPipeline", **{**shared, "scheduler": _copy(pipe.scheduler)})
    plain = SD.render(own)
    with apply_policy(pipe, mixed(pipe)) as applied:
        right = SD.render(applied)
        found: dict[str, Any] = {}
        inside, done = threading.Event(), threading.Event()

        def wait(_: Any, step: int, time: Any, tensors: dict[str, Any]) -> dict[str, Any]:
            if step == 2:
                inside.set()
                assert done.wait(60)
            return tensors

        def second() -> None:
            assert inside.wait(60)
            found["own scheduler"] = SD.render(own)
            try:
                SD.render(pipe)
            except MismatchError as error:
                found["same scheduler"] = str(error)
            done.set()

        thread = threading.Thread(target=second)
        thread.start()
        mine = SD.render(applied, callback_on_step_end=wait)
        thread.join()
        assert torch.equal(mine, right)
        assert torch.equal(found["own scheduler"], plain)
        assert "must finish one call before the next begins" in found["same scheduler"]
        assert torch.equal(SD.render(applied), right)


def test_a_policy_of_two_denoisers_is_not_one_of_the_first() -> None:
    one, two = ROWS["Wan 2.1"], ROWS["Wan 2.2, two denoisers"]
    policy = full_policy(one.make(), 6)
    with pytest.raises(MismatchError, match="must be the pipeline's denoiser"):
        apply_policy(two.make(), policy)


def test_pipelines_that_share_only_a_scheduler() -> None:
    """A plain one walks it as it likes; a second policy on it is refused, with the cure, which works."""
    pipe, other = SD.make(), ROWS["SDXL text to image"].make()
    other.scheduler = pipe.scheduler
    row = ROWS["SDXL text to image"]
    plain = row.render(other, num_inference_steps=9)
    with apply_policy(pipe, mixed(pipe)) as applied:
        right = SD.render(applied)
        assert torch.equal(row.render(other, num_inference_steps=9), plain)
        assert torch.equal(SD.render(applied), right)
        with pytest.raises(MismatchError, match="this DDIMScheduler already follows one.*Give `pipe` its own"):
            apply_policy(other, full_policy(other, 6))
        other.scheduler = type(other.scheduler).from_config(other.scheduler.config)
        with apply_policy(other, full_policy(other, 9)) as second:
            assert torch.equal(row.render(second, num_inference_steps=9), plain)
            assert torch.equal(SD.render(applied), right)


def test_another_task_on_the_same_parts_is_measured_by_its_own_walk() -> None:
    """Img2img walks four of six steps, also after a text-to-image call that walked all."""
    pipe, row = SD.make(), ROWS["SD img2img"]
    img2img = sd_as("StableDiffusionImg2ImgPipeline", **_parts(pipe))
    with apply_policy(pipe, mixed(pipe)) as applied:
        right = SD.render(applied)
        with pytest.raises(MismatchError, match="the policy has 6 but the call walks 4"):
            row.render(img2img)
        assert torch.equal(SD.render(applied), right)


def test_a_request_that_is_refused_leaves_the_first_one_alone() -> None:
    pipe = SD.make()

    def inside(_: Any, step: int, time: Any, tensors: dict[str, Any]) -> dict[str, Any]:
        if step == 2:
            with pytest.raises(MismatchError, match="must finish one call before the next begins"):
                SD.render(applied)
        return tensors

    with apply_policy(pipe, mixed(pipe)) as applied:
        right = SD.render(applied)
        trace = applied.trace
        assert torch.equal(SD.render(applied, callback_on_step_end=inside), right)
        assert applied.trace == trace


def test_a_request_inside_a_loop_written_by_hand_is_refused() -> None:
    pipe = SD.make()
    text = SD.call(0, 1, 1)["prompt_embeds"]
    with apply_policy(pipe, mixed(pipe)) as applied, torch.no_grad(), applied.run():
        pipe.scheduler.set_timesteps(SD.steps)
        x = torch.randn(1, 4, 8, 8)
        for t, time in enumerate(pipe.scheduler.timesteps):
            if t == 3:
                with pytest.raises(MismatchError, match="another call is at step 3 of 6"):
                    SD.render(pipe)
            x = pipe.scheduler.step(pipe.unet(x, time, encoder_hidden_states=text).sample, time, x).prev_sample
        assert applied.trace.network == "111110"


def test_a_run_that_broke_off_outside_the_network_is_not_taken_for_another_one() -> None:
    """The second pipeline has its own scheduler, so it begins no run: the first one's scores must not reach it."""
    pipe = SD.make()
    own = sd_as("StableDiffusionPipeline", **{**_parts(pipe), "scheduler": _copy(pipe.scheduler)})
    plain = SD.render(own)

    def fail(_: Any, step: int, time: Any, tensors: dict[str, Any]) -> dict[str, Any]:
        if step == 2:
            raise ValueError("in a callback")
        return tensors

    with apply_policy(pipe, mixed(pipe)) as applied:
        right = SD.render(applied)
        for _ in range(5):
            with pytest.raises(ValueError, match="in a callback"):
                SD.render(pipe, callback_on_step_end=fail)
            assert torch.equal(SD.render(own), plain)
        assert torch.equal(SD.render(applied), right)


def test_copies_are_refused() -> None:
    pipe = SD.make()
    with apply_policy(pipe, mixed(pipe)):
        with pytest.raises(MismatchError, match="while its UNet2DConditionModel is copied"):
            copy.deepcopy(pipe.unet)
    assert torch.equal(SD.render(copy.deepcopy(pipe)), SD.render(pipe))
