"""Recordings: what sites would keep, beside what forward hooks see; and the pipeline as it was."""

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from frdiff_tune import apply_policy, full_policy, keyframe_policy
from frdiff_tune.errors import MismatchError
from frdiff_tune.runtime import Fitted, Taylor, default_groups, find_denoisers, forecast_features, record
from frdiff_tune.runtime.recording import Recording
from tests.pipelines import ROWS
from tests.runtime.mixed import guidance_ends
from tests.runtime.rendering import relative
from tests.tiny import tiny_dit, tiny_sd

STEPS = 6
Gram = NDArray[np.float64]


def draw(pipe: Any, seed: int = 0, steps: int = STEPS, **more: Any) -> Tensor:
    given: dict[str, Any] = {"prompt": ["a fox", "a bee"]} if hasattr(pipe, "unet") else {"class_labels": [1, 2]}
    generators = [torch.Generator().manual_seed(2 * seed + i) for i in range(2)]
    call = {**given, "num_inference_steps": steps, "generator": generators, "output_type": "np", **more}
    return torch.as_tensor(pipe(**call).images)


def gram_of(kept: list[Tensor]) -> Gram:
    """Returns the Gram matrix of what was kept at each step, its diagonal's mean 1."""
    rows = torch.stack([node.flatten() for node in kept]).double()
    gram = (rows @ rows.T).numpy()
    scaled: Gram = gram / gram.diagonal().mean()
    return scaled


def test_what_is_recorded_is_what_hooks_see() -> None:
    """Attention is kept whole, a block as its result minus its input; the score is the network's own output."""
    pipe = tiny_dit()
    block = pipe.transformer.transformer_blocks[1]
    whole: list[Tensor] = []
    residual: list[Tensor] = []
    scores: list[Tensor] = []
    hooks = [
        block.attn1.register_forward_hook(lambda module, args, output: whole.append(output.clone())),
        block.register_forward_hook(lambda module, args, output: residual.append(output - args[0])),
        pipe.transformer.register_forward_hook(lambda module, args, output: scores.append(output[0].clone())),
    ]
    names = ["transformer.transformer_blocks.1.attn1", "transformer.transformer_blocks.1"]
    with record(pipe, STEPS, {"one": names[:1], "other": names[1:], "guidance": ["guidance"]}) as records:
        draw(pipe)
        once = records.recording
        draw(pipe, seed=1)
    for hook in hooks:
        hook.remove()
    recording = records.recording
    assert set(recording.grams) == {"score", *names}
    assert recording.times == tuple(float(time) for time in pipe.scheduler.timesteps)
    for name, kept in (*zip(names, (whole, residual), strict=True), ("score", scores)):
        assert np.allclose(once.grams[name], gram_of(kept[:STEPS]), rtol=1e-5, atol=0), name
        both = [torch.stack(pair) for pair in zip(kept[:STEPS], kept[STEPS:], strict=True)]
        assert np.allclose(recording.grams[name], gram_of(both), rtol=1e-5, atol=0), "several calls add up"
    group = recording.gram(names)
    assert group is not None
    assert np.allclose(group, (recording.grams[names[0]] + recording.grams[names[1]]) / 2, rtol=1e-12)
    assert recording.gram(["guidance"]) is None


def test_tuples_and_convolutions_of_a_unet() -> None:
    """A whole block keeps its skip outputs, too; a residual block what its first convolution gives."""
    pipe = tiny_sd()
    kept: list[Tensor] = []
    first: list[Tensor] = []

    def see(module: Any, args: Any, output: Any) -> None:
        kept.append(torch.cat([part.flatten() for part in (output[0], *output[1])]))

    down = pipe.unet.down_blocks[1]
    hooks = [
        down.register_forward_hook(see),
        down.resnets[0].conv1.register_forward_hook(lambda module, args, output: first.append(output.clone())),
    ]
    sites = {"whole": ["unet.down_blocks.1"], "conv": ["unet.down_blocks.1.resnets.0"]}
    with record(pipe, STEPS, sites) as records:
        draw(pipe)
    for hook in hooks:
        hook.remove()
    for name, seen in (("whole", kept), ("conv", first)):
        gram = records.recording.gram(sites[name])
        assert gram is not None
        assert np.allclose(gram, gram_of(seen), rtol=1e-5, atol=0), name


@pytest.mark.parametrize(
    "name", ["SD text to image", "FLUX text to image", "SD 3", "Wan 2.1", "SD ControlNet", "LDM unconditional"]
)
def test_runs_stay_bit_for_bit_and_nothing_stays_on_the_pipeline(name: str) -> None:
    row = ROWS[name]
    pipe = row.make()
    bare = row.render(pipe)
    objects = [pipe.scheduler, *(module for denoiser in find_denoisers(pipe) for module in denoiser.module.modules())]
    before = [set(vars(thing)) for thing in objects]
    with record(pipe, row.steps, default_groups(pipe), T=row.walked) as records:
        assert torch.equal(row.render(pipe), bare)
    assert [set(vars(thing)) for thing in objects] == before
    assert torch.equal(row.render(pipe), bare)
    grams = records.recording.grams
    assert {gram.shape for gram in grams.values()} == {(row.T, row.T)}
    assert not {"guidance", "controlnet"} & set(grams)
    for gram in grams.values():
        assert np.array_equal(gram, gram.T)
        assert gram.diagonal().mean() == pytest.approx(1.0)
        assert np.linalg.eigvalsh(gram)[0] > -1e-9


def test_an_error_in_a_run_restores_the_pipeline_and_drops_the_run() -> None:
    pipe = tiny_dit()
    bare = draw(pipe)

    calls: list[int] = []

    def fail(module: Any, args: Any) -> None:
        calls.append(1)
        if len(calls) == 3:
            raise RuntimeError("out of memory")

    with pytest.raises(RuntimeError, match="out of memory"), record(pipe, STEPS, default_groups(pipe)) as records:
        draw(pipe)
        whole = records.recording
        hook = pipe.transformer.transformer_blocks[1].register_forward_pre_hook(fail)
        draw(pipe, seed=1)
    hook.remove()
    assert torch.equal(draw(pipe), bare)
    assert all(np.array_equal(records.recording.grams[name], gram) for name, gram in whole.grams.items())
    apply_policy(pipe, full_policy(pipe, STEPS)).remove()


def test_some_entries_are_about_as_good_as_all() -> None:
    pipe = tiny_sd()
    groups = {"attention": default_groups(pipe)["attention"]}
    found = []
    for entries in (10**9, 200, 200):
        with record(pipe, STEPS, groups, entries=entries) as records:
            draw(pipe)
        found.append(records.recording)
    assert all(np.array_equal(found[1].grams[name], found[2].grams[name]) for name in found[1].grams), "the same entries"
    for name in found[0].grams:
        exact, some = found[0].grams[name], found[1].grams[name]
        assert np.abs(some - exact).max() < 0.1 * np.abs(exact).max(), name
    with record(pipe, STEPS, groups, entries=200, seed=1) as records:
        draw(pipe)
    assert not np.array_equal(records.recording.grams["score"], found[1].grams["score"])


def test_a_pass_that_changes_its_shape_is_not_recorded() -> None:
    pipe = tiny_sd()
    with record(pipe, STEPS, default_groups(pipe)) as records:
        draw(pipe, **guidance_ends())
        with pytest.raises(MismatchError, match="`recording` must hold a run of 6 steps but holds none"):
            _ = records.recording


def test_of_two_denoisers_only_the_score_runs_at_every_step() -> None:
    row = ROWS["Wan 2.2, two denoisers"]
    pipe = row.make()
    with record(pipe, row.steps, default_groups(pipe)) as records:
        row.render(pipe)
    assert set(records.recording.grams) == {"score"}


def test_what_is_refused() -> None:
    pipe = tiny_dit()
    with (
        pytest.raises(MismatchError, match="must name sites of the model but got 'nowhere'"),
        record(pipe, 6, {"a": ["nowhere"]}),
    ):
        pass
    with record(pipe, STEPS, {}), pytest.raises(MismatchError, match="the call asks for 5"):
        draw(pipe, steps=5)
    with apply_policy(pipe, full_policy(pipe, STEPS)), pytest.raises(MismatchError, match="already follows one"):
        with record(pipe, STEPS, {}):
            pass
    draw(pipe)


def test_another_walk_is_read_between_the_recorded_steps() -> None:
    """Features a line in time: whatever is between two recorded steps is exact, what lies beyond stays as it is there."""
    times = (900.0, 600.0, 500.0, 100.0)

    def gram(at: tuple[float, ...]) -> Gram:
        line = np.stack([np.ones(len(at)), np.array(at) / 1000], axis=1)
        found: Gram = line @ line.T
        return found

    recording = Recording(times, {"a.b": gram(times)})
    assert recording.gram(["a.b", "a.c"], times) is not None
    assert recording.gram(["a.c"], times) is None
    same, other = recording.gram(["a.b"], times), recording.gram(["a.b"], (700.0, 550.0, 100.0))
    assert same is not None
    assert other is not None
    assert np.array_equal(same, gram(times))
    assert np.allclose(other, gram((700.0, 550.0, 100.0)))
    ends = recording.gram(["a.b"], (999.0, 1.0))
    assert ends is not None
    assert np.allclose(ends, gram((900.0, 100.0)))
    twice = Recording((900.0, 500.0, 500.0, 100.0), {"a.b": gram((900.0, 500.0, 500.0, 100.0))}).gram(["a.b"], (700.0, 300.0))
    assert twice is not None
    assert np.allclose(twice, gram((700.0, 300.0))), "as of solvers that call the network twice per step"


def test_fitted_to_its_own_run_a_policy_foretells_better() -> None:
    """The first step that is given back sees inputs that only reuse before it has changed: there the fit is exact."""
    pipe = tiny_dit()
    site = "transformer.transformer_blocks.1.attn1"
    groups = {"attention": [site]}
    seen: list[Tensor] = []
    hook = pipe.transformer.transformer_blocks[1].attn1.register_forward_hook(lambda *given: seen.append(given[2].clone()))
    with record(pipe, STEPS, groups) as records:
        draw(pipe)
    true, seen[:] = list(seen), []
    gram = records.recording.gram([site])
    assert gram is not None
    held = keyframe_policy(pipe, STEPS, [0, 1, 2], groups=groups)
    misses = {}
    for basis in (Taylor(0), Taylor(1), Fitted(gram, 2, 0.0)):
        with apply_policy(pipe, forecast_features(held, {"attention": basis})):
            seen.clear()
            draw(pipe)
        assert len(seen) == STEPS
        misses[type(basis).__name__ + str(basis.nodes)] = relative(seen[3], true[3])
    hook.remove()
    assert misses["Fitted2"] < min(misses["Taylor1"], misses["Taylor2"])
