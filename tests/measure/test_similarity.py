"""What changes from step to step, beside the same computed directly from everything that hooks see; and the memory it needs."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from benchmarks.architectures import REDUCED
from benchmarks.memory import memory_of
from frdiff_tune.errors import MeasureError
from frdiff_tune.measure import Case, Similarity, call_arguments, similarity
from frdiff_tune.measure.similarity import bound_bytes
from frdiff_tune.runtime import default_groups, record
from tests.tiny import tiny_dit, tiny_sd

STEPS = 5
ALL = 10**9  # entries
CASES = {
    "class_labels": [Case({"class_labels": 1}, 0), Case({"class_labels": 2}, 1)],
    "prompt": [Case({"prompt": "a fox"}, 0), Case({"prompt": "a bee"}, 1)],
}
Seen = dict[str, list[Tensor]]


def finished(pipe: Any, cases: Sequence[Case], groups: Mapping[str, Sequence[str]], entries: int = ALL) -> Similarity:
    run = similarity(pipe, cases, groups, steps=STEPS, call={}, entries=entries)
    done = []
    while True:
        try:
            done.append(next(run))
        except StopIteration as end:
            assert done == [1, 2][: len(cases)]
            found: Similarity = end.value
            return found


def changes(steps: Sequence[Tensor]) -> NDArray[np.float64]:
    """Returns ||v[t] - v[s]|| / ||v[t]|| below the diagonal, computed in float64 from the features themselves."""
    table = np.zeros((len(steps), len(steps)))
    for t, now in enumerate(steps):
        for s in range(t):
            table[t, s] = float((now.double() - steps[s].double()).norm() / now.double().norm())
    return table


def test_of_a_transformer_it_is_what_hooks_see() -> None:
    """Attention outputs of two blocks, whole-block residuals of one, and the guidance pair of the network's own output."""
    pipe = tiny_dit()
    blocks, names = pipe.transformer.transformer_blocks, "transformer.transformer_blocks"
    groups = {"attention": [f"{names}.0.attn1", f"{names}.2.attn1"], "one": [f"{names}.1"], "guidance": ["guidance"]}
    seen: Seen = {"first": [], "second": [], "one": [], "guidance": []}
    handles = [
        blocks[0].attn1.register_forward_hook(lambda module, args, output: seen["first"].append(output.clone())),
        blocks[2].attn1.register_forward_hook(lambda module, args, output: seen["second"].append(output.clone())),
        blocks[1].register_forward_hook(lambda module, args, output: seen["one"].append(output - args[0])),
        pipe.transformer.register_forward_hook(
            lambda module, args, output: seen["guidance"].append(output[0].chunk(2)[1] - output[0].chunk(2)[0])
        ),
    ]
    found = finished(pipe, CASES["class_labels"], groups)
    for handle in handles:
        handle.remove()
    seen["attention"] = [torch.stack(both) for both in zip(seen["first"], seen["second"], strict=True)]
    for name in groups:
        wanted = np.mean([changes(seen[name][k * STEPS : (k + 1) * STEPS]) for k in range(2)], axis=0)
        assert wanted[1, 0] > 0.01
        assert np.allclose(found.change[name], wanted, rtol=1e-5, atol=1e-7), name


def test_of_a_unet_sites_of_different_sizes_weigh_by_their_norms() -> None:
    """Two convolutions, of 8 channels at 8x8 and of 16 at 4x4; with few entries the same within their sampling error."""
    pipe = tiny_sd()
    groups = {"conv": ["unet.down_blocks.0.resnets.0", "unet.down_blocks.1.resnets.0"]}
    seen: list[Tensor] = []
    down = pipe.unet.down_blocks
    handles = [
        block.resnets[0].conv1.register_forward_hook(lambda module, args, output: seen.append(output.flatten().clone()))
        for block in (down[0], down[1])
    ]
    exact = finished(pipe, CASES["prompt"][:1], groups)
    for handle in handles:
        handle.remove()
    steps = [torch.cat(seen[2 * t : 2 * t + 2]) for t in range(STEPS)]
    assert np.allclose(exact.change["conv"], changes(steps), rtol=1e-5, atol=1e-7)
    some = finished(pipe, CASES["prompt"][:1], groups, entries=200)
    below = np.tril_indices(STEPS, -1)
    assert not np.array_equal(some.change["conv"], exact.change["conv"])
    assert np.allclose(some.change["conv"][below], exact.change["conv"][below], rtol=0.15)


def test_what_runs_in_part_of_the_steps_is_left_out() -> None:
    from tests.pipelines import ROWS

    row = ROWS["Wan 2.2, two denoisers"]
    pipe = row.make()
    with record(pipe, row.steps, default_groups(pipe), pictures=1) as records:
        row.render(pipe)
    assert not {site for sites in default_groups(pipe).values() for site in sites} & set(records.recorder.sums) - {"guidance"}


def test_bound_by_hand() -> None:
    """Two sites and the score, one of two passes: 100 entries each but 40 of the score; three steps."""
    sizes = {("a", "0"): (500, 100, 2000), ("a", "1"): (500, 100, 2000), ("b", "0"): (900, 100, 3600)}
    sizes["score", "0"] = 40, 40, 160
    by_hand = 4 * 3 * 340 + (12 * 3 + 12 * 3 + 48) * 100 + 2 * 3600 + 24 * 9 * 3
    assert bound_bytes(sizes, 3) == by_hand


@pytest.mark.parametrize("entries", [256, 4096])
def test_peak_memory_is_within_the_stated_bound(entries: int) -> None:
    """A reduced Stable Diffusion on 24x24 latents: features of one step take several times the bound with few entries."""
    architecture, device = REDUCED["sd-like"], torch.device("cpu")
    pipe = architecture.make()
    pipe.set_progress_bar_config(disable=True)
    arguments = {**architecture.arguments(device, torch.float32), "num_inference_steps": 2, "output_type": "latent"}
    call = partial(pipe, **arguments, generator=torch.Generator().manual_seed(0))
    call()
    bare = memory_of(call, device)
    sizes: dict[tuple[str, str], tuple[int, int, int]] = {}

    def recorded() -> None:
        with record(pipe, 2, default_groups(pipe), entries=entries, pictures=1) as records:
            call()
        sizes.update(records.recorder.sizes)

    grown = memory_of(recorded, device).peak - bare.peak
    bound, features = bound_bytes(sizes, 2), sum(size for _, _, size in sizes.values())
    assert grown <= bound
    assert entries > 256 or bound < features / 2


@pytest.mark.filterwarnings("ignore:invalid value")
def test_features_that_are_not_finite_are_refused() -> None:
    pipe = tiny_dit()
    with torch.no_grad():
        pipe.transformer.transformer_blocks[0].attn1.to_out[0].weight.fill_(float("nan"))
    with pytest.raises(MeasureError, match="must be finite but got NaN or infinity in group 'attention'"):
        finished(pipe, CASES["class_labels"], {"attention": ["transformer.transformer_blocks.0.attn1"]})


def test_nothing_stays_on_the_pipeline() -> None:
    pipe = tiny_dit()
    case = CASES["class_labels"][:1]
    draw = partial(pipe, num_inference_steps=STEPS, output_type="np")
    before = draw(**call_arguments(case)).images
    finished(pipe, case, default_groups(pipe))
    assert np.array_equal(draw(**call_arguments(case)).images, before)
