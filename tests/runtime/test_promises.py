"""The runtime's promises on the embedded models: nothing changes under the full policy, nothing stays after removal."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from frdiff_tune import apply_policy, frdiff_policy, full_policy, keyframe_policy
from frdiff_tune.errors import MismatchError
from frdiff_tune.policy import Policy
from frdiff_tune.runtime import default_groups, find_denoiser
from tests.runtime.rendering import hooks, render, snapshot

STEPS = 6
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module", params=["emoji", "emoji_dit"])
def pipe(request: pytest.FixtureRequest) -> Any:
    return request.getfixturevalue(request.param)


@pytest.fixture(scope="module")
def bare(pipe: Any) -> Tensor:
    return render(pipe, pipe, num_inference_steps=STEPS)


def test_full_policy_and_removal_are_bit_identical(pipe: Any, bare: Tensor) -> None:
    before, config, scheduler = snapshot(pipe), dict(pipe.config), pipe.scheduler
    keys = set(find_denoiser(pipe).module.state_dict())
    with apply_policy(pipe, full_policy(pipe, STEPS)) as applied:
        assert torch.equal(render(applied, pipe), bare)
        assert torch.equal(render(pipe, pipe, num_inference_steps=STEPS), bare)
        assert set(find_denoiser(pipe).module.state_dict()) == keys
        assert hooks(pipe) == 0
        applied.use(frdiff_policy(pipe, STEPS, 2, scheduler="DPMSolverMultistepScheduler"))
        assert not torch.equal(render(applied, pipe), bare)
    assert torch.equal(render(pipe, pipe, num_inference_steps=STEPS), bare)
    assert (snapshot(pipe), dict(pipe.config)) == (before, config)
    assert pipe.scheduler is scheduler


def test_trace_equals_the_masks_for_every_group(pipe: Any, bare: Tensor) -> None:
    groups = default_groups(pipe)
    with apply_policy(pipe, full_policy(pipe, STEPS)) as applied:
        for group in groups:
            policy = keyframe_policy(pipe, STEPS, [0, 2, 3], mixing=[1, 1, 1, 1, 0.5, 0], groups=[group])
            picture = render(applied.use(policy), pipe)
            assert applied.trace.network == "111110"
            assert {g: applied.trace.mask(g) for g in policy.masks} == {group: "101100"}
            assert applied.trace.forced == ()
            assert applied.cache_bytes > 0
            assert not torch.equal(picture, bare)


def test_a_zero_in_a_mask_means_that_the_module_is_not_called(pipe: Any) -> None:
    denoiser = find_denoiser(pipe).module
    for group, sites in default_groups(pipe).items():
        if group == "guidance":
            continue
        policy = keyframe_policy(pipe, STEPS, [0, 2, 3], mixing=1.0, groups=[group])
        module: Any = denoiser.get_submodule(sites[0].partition(".")[2])
        module = module.conv1 if "Resnet" in type(module).__name__ else module
        assert _leaf_calls(module, pipe, policy) == 3, group


def _leaf_calls(module: Any, pipe: Any, policy: Any) -> int:
    """Counts, below every patch, the calls of the last layer inside ``module`` during a run."""
    leaf = [m for m in module.modules() if not list(m.children()) and list(m.parameters(recurse=False))][-1]
    calls = 0
    name = "_conv_forward" if hasattr(leaf, "_conv_forward") else "forward"
    original = getattr(leaf, name)

    def counted(*args: Any, **kwargs: Any) -> Any:
        nonlocal calls
        calls += 1
        return original(*args, **kwargs)

    setattr(leaf, name, counted)
    try:
        with apply_policy(pipe, policy) as applied:
            render(applied, pipe)
    finally:
        delattr(leaf, name)
    return calls


def test_runs_share_nothing(pipe: Any) -> None:
    policy = frdiff_policy(pipe, STEPS, 2)
    with apply_policy(pipe, policy) as applied:
        first = render(applied, pipe)
        two = render(applied, pipe, batch=2)
        other = render(applied, pipe, seed=5)
        again = render(applied, pipe)
        assert torch.equal(first, again)
        assert torch.allclose(two[0], first[0], atol=1e-4)
        assert not torch.equal(other, first)
        assert applied.stored_bytes == 0
        assert applied.stored_bytes == 0


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_a_broken_off_run_leaves_nothing_behind(pipe: Any, error: type[BaseException]) -> None:
    denoiser = find_denoiser(pipe).module
    policy = frdiff_policy(pipe, STEPS, 2, score_mixing=False)
    with apply_policy(pipe, policy) as applied:
        right = render(applied, pipe)
        calls = {"n": 0}

        def fail(*_: Any) -> None:
            calls["n"] += 1
            if calls["n"] == 3:
                raise error("in the middle")

        inner = next(m for m in denoiser.modules() if not list(m.children()))
        handle = inner.register_forward_hook(fail)
        with pytest.raises(error):
            render(applied, pipe)
        handle.remove()
        assert applied.stored_bytes == 0
        assert torch.equal(render(applied, pipe), right)


def test_another_step_count_is_refused_and_the_next_call_is_right(pipe: Any) -> None:
    with apply_policy(pipe, frdiff_policy(pipe, STEPS, 2)) as applied:
        right = render(applied, pipe)
        with pytest.raises(MismatchError, match="`num_inference_steps` must be the policy's 6 but the call asks for 7"):
            render(pipe, pipe, num_inference_steps=7)
        with pytest.raises(MismatchError, match="num_inference_steps=6"):
            render(applied, pipe, num_inference_steps=5)
        assert torch.equal(render(applied, pipe), right)


def test_a_denoiser_called_outside_a_run_computes_plainly(pipe: Any) -> None:
    denoiser = find_denoiser(pipe).module
    x, label = torch.randn(1, 4, 32, 32), torch.tensor([3])
    unet = hasattr(pipe, "unet")
    inputs: dict[str, Any] = {"encoder_hidden_states": torch.randn(1, 16, 96)} if unet else {"class_labels": label}

    def call() -> Tensor:
        with torch.no_grad():
            result: Tensor = denoiser(x, timestep=torch.tensor([500]), **inputs).sample
        return result

    plain = call()
    with apply_policy(pipe, frdiff_policy(pipe, STEPS, 3)) as applied:
        assert torch.equal(call(), plain)
        render(applied, pipe)
        assert torch.equal(call(), plain)


def test_a_saved_pipeline_is_the_user_s_own(pipe: Any, tmp_path: Any, bare: Tensor) -> None:
    with apply_policy(pipe, full_policy(pipe, STEPS, scheduler="UniPCMultistepScheduler")) as applied:
        assert type(pipe.scheduler).__name__ == "UniPCMultistepScheduler"
        pipe.save_pretrained(tmp_path / "saved")
        assert type(pipe.scheduler).__name__ == "UniPCMultistepScheduler"
        assert not torch.equal(render(applied, pipe), bare)
    back = type(pipe).from_pretrained(tmp_path / "saved")
    back.set_progress_bar_config(disable=True)
    assert type(back.scheduler).__name__ == "DDIMScheduler"
    assert torch.equal(render(back, back, num_inference_steps=STEPS), bare)


def test_a_policy_file_of_the_first_version_still_means_the_same(emoji: Any) -> None:
    """The file that the demo left in its first release: its digest, and the picture of the tables that it holds."""
    policy = Policy.load(ROOT / "tests" / "data" / "demo_policy_first_release.json")
    assert policy.schema_version == 2, "it is read by migration"
    assert policy.digest == "0a09823113a22ed70b10872e643fbd496856ddd2059f1ad83514bd5fb6796f72"
    keyframes = [t for t, bit in enumerate(policy.keyframes) if bit == "1"]
    options: dict[str, Any] = {"groups": [], "order": 1, "strength": 1.0, "variable": policy.variable}
    built = keyframe_policy(emoji, 50, keyframes, 0.0, **options).replace(forecast=policy.forecast)
    with apply_policy(emoji, policy) as applied:
        picture = render(applied, emoji)
        assert applied.trace.network == policy.keyframes
        applied.use(built)
        assert torch.equal(render(applied, emoji), picture)
