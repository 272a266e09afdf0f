"""CUDA graphs with a policy on; where no GPU is at hand, on a tape of operations that replays as a graph does."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from frdiff_tune import Policy, apply_policy, full_policy, keyframe_policy
from frdiff_tune.errors import MismatchError
from frdiff_tune.runtime import Taylor, find_denoisers, forecast_features, launch
from tests.pipelines import ROWS
from tests.runtime.rendering import relative
from tests.runtime.tape import TapeRecorder
from tests.tiny import tiny_dit

STEPS = 6
SUBJECTS = [
    "SD text to image",
    "SDXL text to image",
    "DiT",
    "FLUX text to image",
    "SD ControlNet",
    "Wan 2.1",
    "Wan 2.2, two denoisers",
]


@pytest.fixture
def tapes(monkeypatch: pytest.MonkeyPatch) -> TapeRecorder:
    made = TapeRecorder()
    monkeypatch.setattr(launch, "recorder", lambda networks: made)
    return made


def policies(pipe: Any) -> list[Policy]:
    """Groups in turn, forecast ones, jumps that are mixed, and the guidance pair with another group."""
    names = {site.group for site in find_denoisers(pipe)[0].sites}
    kinds = ["conv", "attention"] if "conv" in names else ["attention", "feed_forward"] if "attention" in names else ["block"]
    held = keyframe_policy(pipe, STEPS, [0, 3], groups=kinds)
    held = held.replace(masks=dict(zip(kinds, ("100100", "101100"), strict=False)))
    mixed = keyframe_policy(pipe, STEPS, [0, 2, 3], mixing=(1, 0, 1, 1, 0.5, 0), groups=kinds, order=1)
    guided = keyframe_policy(pipe, STEPS, [0, 3], groups=[kinds[0], "guidance"])
    guided = guided.replace(masks={kinds[0]: "101101", "guidance": "100100"})
    return [full_policy(pipe, STEPS), held, forecast_features(held, Taylor(2)), mixed, guided]


def calls_of(pipe: Any) -> list[int]:
    """Returns a list that grows with every forward of the network that Python runs."""
    calls: list[int] = []
    part = next(m for m in find_denoisers(pipe)[0].module.modules() if isinstance(m, torch.nn.Linear))
    part.register_forward_hook(lambda *given: calls.append(1))
    return calls


@pytest.mark.parametrize("name", SUBJECTS)
def test_graphs_give_what_eager_gives(name: str, tapes: TapeRecorder) -> None:
    row = ROWS[name]
    pipe = row.make()
    calls = calls_of(pipe)
    chosen = policies(pipe)
    with apply_policy(pipe, chosen[0]) as applied:
        wanted = [row.render(applied.use(policy), num_inference_steps=STEPS) for policy in chosen]
        forced = []
        for policy in chosen:
            row.render(applied.use(policy), num_inference_steps=STEPS)
            forced.append(applied.trace.forced)
    with apply_policy(pipe, chosen[0], capture="cuda_graphs") as applied:
        for policy, picture, force in zip(chosen, wanted, forced, strict=True):
            first = row.render(applied.use(policy), num_inference_steps=STEPS)
            assert torch.equal(first, picture)
            assert applied.trace.forced == force
            made, ran = tapes.recorded, len(calls)
            assert torch.equal(row.render(applied, num_inference_steps=STEPS), picture)
            assert tapes.recorded == made, "every row was recorded in the first picture"
            assert len(calls) == ran, "nothing of the network's Python ran"
        made = tapes.recorded
        for policy, picture in zip(chosen, wanted, strict=True):
            assert torch.equal(row.render(applied.use(policy), num_inference_steps=STEPS), picture)
        assert tapes.recorded == made, "policies share the graphs"
    assert torch.equal(row.render(pipe, num_inference_steps=STEPS), wanted[0])
    assert len(calls) > ran


def test_one_graph_per_row(tapes: TapeRecorder) -> None:
    row = ROWS["SD text to image"]
    pipe = row.make()
    policy = policies(pipe)[1]
    with apply_policy(pipe, policy, capture="cuda_graphs") as applied:
        row.render(applied)
        assert tapes.recorded == len({step.reuses for step in policy.plan()}) == 3


def test_another_form_is_recorded_anew(tapes: TapeRecorder) -> None:
    """Batches in turn: each has its own buffers and graphs, of which a few are kept."""
    row = ROWS["SD text to image"]
    pipe = row.make()
    policy = forecast_features(policies(pipe)[1], Taylor(1))
    batches = (1, 2, 3)
    with apply_policy(pipe, policy) as applied:
        wanted = {n: row.render(applied, num_images_per_prompt=n) for n in range(1, 7)}
    with apply_policy(pipe, policy, capture="cuda_graphs") as applied:
        for n in (*batches, *batches):
            assert torch.equal(row.render(applied, num_images_per_prompt=n), wanted[n])
            assert torch.equal(row.render(applied, num_images_per_prompt=n), wanted[n])
        assert tapes.recorded == 3 * len(batches)
        for n in (4, 5, 6):
            row.render(applied, num_images_per_prompt=n)
        assert torch.equal(row.render(applied, num_images_per_prompt=1), wanted[1])
        assert tapes.recorded == 3 * 7, "of a dropped one, again"


def _other_weights(pipe: Any) -> None:
    linear = next(m for m in pipe.unet.modules() if isinstance(m, torch.nn.Linear))
    linear.weight = torch.nn.Parameter(linear.weight.detach() * 1.5)


def _written_weights(pipe: Any) -> None:
    with torch.no_grad():
        next(m for m in pipe.unet.modules() if isinstance(m, torch.nn.Linear)).weight.mul_(1.5)


def _freeu(pipe: Any) -> None:
    pipe.enable_freeu(0.9, 0.2, 1.2, 1.4)


def _hooked(pipe: Any) -> None:
    pipe.unet.conv_in.register_forward_hook(lambda module, given, output: output * 1.5)


@pytest.mark.parametrize("change", [_other_weights, _written_weights, _freeu, _hooked])
def test_a_changed_network_is_recorded_anew(change: Any, tapes: TapeRecorder) -> None:
    row = ROWS["SD text to image"]
    pipe = row.make()
    policy = policies(pipe)[1]
    with apply_policy(pipe, policy, capture="cuda_graphs") as applied:
        before = row.render(applied)
        change(pipe)
        found = row.render(applied)
    with apply_policy(pipe, policy) as applied:
        wanted = row.render(applied)
    assert torch.equal(found, wanted)
    assert relative(found, before) > 1e-3


def test_narrow_features_in_graphs(tapes: TapeRecorder) -> None:
    row = ROWS["DiT"]
    pipe = row.make()
    policy = forecast_features(policies(pipe)[1], Taylor(1))
    with apply_policy(pipe, policy, cache_dtype="float8_e4m3fn") as applied:
        wanted = row.render(applied, num_inference_steps=STEPS)
    with apply_policy(pipe, policy, cache_dtype="float8_e4m3fn", capture="cuda_graphs") as applied:
        for _ in range(2):
            assert torch.equal(row.render(applied, num_inference_steps=STEPS), wanted)


def test_what_cannot_be_recorded_is_refused(tapes: TapeRecorder, monkeypatch: pytest.MonkeyPatch) -> None:
    row = ROWS["SD text to image"]
    pipe = row.make()
    policy = policies(pipe)[1]
    wanted = row.render(pipe)

    def refuse(*given: Any) -> Any:
        raise RuntimeError("operation not permitted when stream is capturing")

    monkeypatch.setattr(TapeRecorder, "__call__", refuse)
    with apply_policy(pipe, policy, capture="cuda_graphs") as applied:
        with pytest.raises(MismatchError, match="`capture` must be 'eager' for this UNet2DConditionModel.*not permitted when"):
            row.render(applied)
        assert applied.stored_bytes == 0
    assert torch.equal(row.render(pipe), wanted)


def test_arguments_that_are_no_tensors(tapes: TapeRecorder) -> None:
    """A number belongs to a recording, which another number replaces; of an array nobody can tell."""
    row = ROWS["SD LoRA"]
    pipe = row.make()
    policy = policies(pipe)[1]
    with apply_policy(pipe, policy) as applied:
        wanted = {scale: row.render(applied, cross_attention_kwargs={"scale": scale}) for scale in (0.0, 1.0)}
    assert relative(wanted[0.0], wanted[1.0]) > 1e-3
    with apply_policy(pipe, policy, capture="cuda_graphs") as applied:
        for scale in (0.0, 1.0, 0.0):
            assert torch.equal(row.render(applied, cross_attention_kwargs={"scale": scale}), wanted[scale])
        with pytest.raises(MismatchError, match="`capture` must be 'eager' where the network is called with a ndarray"):
            row.render(applied, cross_attention_kwargs={"scale": np.ones(1)})


def test_what_is_refused_at_once() -> None:
    row = ROWS["SD text to image"]
    pipe = row.make()
    policy = policies(pipe)[1]
    with pytest.raises(MismatchError, match="not on a CUDA device as a whole, but 'cuda_graphs' was asked for one on cpu"):
        apply_policy(pipe, policy, capture="cuda_graphs")
    with pytest.raises(MismatchError, match="must be one of eager, cuda_graphs, compile but got 'fast'"):
        apply_policy(pipe, policy, capture="fast")  # type: ignore[arg-type]
    with pytest.raises(MismatchError, match="`cache_device` must be None with capture='cuda_graphs'"):
        apply_policy(pipe, policy, capture="cuda_graphs", cache_device="cpu")
    pipe.unet.enable_layerwise_casting(storage_dtype=torch.bfloat16, compute_dtype=torch.float32)
    with pytest.raises(MismatchError, match="hooks that move or cast its weights, but .* has .*layerwise_casting"):
        apply_policy(pipe, policy, capture="cuda_graphs")
    pipe = row.make()
    pipe.unet.compile(backend="aot_eager")
    with pytest.raises(MismatchError, match="compiled already but got 'compile'"):
        apply_policy(pipe, policy, capture="compile")
    pipe.unet._compiled_call_impl = None
    apply_policy(pipe, policy).remove()


def test_suspended_and_back(tapes: TapeRecorder) -> None:
    """The pipeline is bare meanwhile; graphs are kept, and another way of launching is a switch."""
    row = ROWS["SD text to image"]
    pipe = row.make()
    plain = row.render(pipe)
    policy = policies(pipe)[1]
    with apply_policy(pipe, policy, capture="cuda_graphs") as applied:
        wanted = row.render(applied)
        made = tapes.recorded
        for capture in ("cuda_graphs", "eager", "cuda_graphs"):
            applied.suspend()
            assert not any("forward" in vars(module) for module in pipe.unet.modules())
            assert torch.equal(row.render(pipe), plain)
            with pytest.raises(MismatchError, match="is suspended"):
                row.render(applied)
            assert torch.equal(row.render(applied.use(policy, capture)), wanted)
        assert tapes.recorded == made
        applied.suspend()
        applied.suspend()
    assert torch.equal(row.render(pipe), plain)
    with pytest.raises(MismatchError, match="was removed"):
        applied.suspend()


def test_compiled_code_outlives_a_switch() -> None:
    row = replace(ROWS["DiT"], make=lambda: tiny_dit(layers=1))
    pipe = row.make()
    plain = row.render(pipe)
    policy = policies(pipe)[1]
    with apply_policy(pipe, policy, capture="compile") as applied:
        wanted = row.render(applied, num_inference_steps=STEPS)
        torch._dynamo.utils.counters.clear()
        for capture in ("eager", "compile"):
            applied.suspend()
            assert torch.equal(row.render(pipe), plain)
            found = row.render(applied.use(policy, capture), num_inference_steps=STEPS)
            assert torch.equal(found, wanted) == (capture == "compile")
        assert not torch._dynamo.utils.counters["stats"]["unique_graphs"]
    assert torch.equal(row.render(pipe), plain)
