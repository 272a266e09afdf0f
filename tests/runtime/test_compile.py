"""``torch.compile`` with a policy on: one graph per distinct row, none after the first image, none broken."""

import functools
from collections.abc import Iterator
from typing import Any

import pytest
import torch
import torch._dynamo
from torch import Tensor
from torch._dynamo.utils import counters

from frdiff_tune import apply_policy, keyframe_policy
from frdiff_tune.policy import Policy
from frdiff_tune.runtime import Taylor, find_denoisers, forecast_features
from tests.pipelines import ROWS
from tests.runtime.rendering import relative

SUBJECTS = ["SD text to image", "DiT", "FLUX text to image"]
WAYS = ["whole", "in place", "repeated blocks"]


@pytest.fixture(autouse=True)
def afresh() -> Iterator[None]:
    torch._dynamo.reset()
    counters.clear()
    yield
    torch._dynamo.reset()
    counters.clear()


def compile_as(pipe: Any, way: str, backend: Any) -> bool:
    """Compiles a pipeline's network; tells whether the model can be compiled in this way."""
    denoiser = find_denoisers(pipe)[0]
    module: Any = denoiser.module
    if way == "whole":
        setattr(pipe, denoiser.component, torch.compile(module, backend=backend))
    elif way == "in place":
        module.compile(backend=backend)
    elif getattr(module, "_repeated_blocks", None):
        module.compile_repeated_blocks(backend=backend)
    else:
        return False
    return True


def graphs() -> tuple[int, int]:
    """Returns how many graphs were made and how many breaks there were since the last reset."""
    return counters["stats"]["unique_graphs"], sum(counters["graph_break"].values())


def bare_graphs(name: str, way: str, backend: str) -> int:
    pipe = ROWS[name].make()
    compile_as(pipe, way, backend)
    ROWS[name].render(pipe)
    made, broken = graphs()
    assert broken == 0
    torch._dynamo.reset()
    counters.clear()
    return made


def three_rows(pipe: Any, steps: int) -> Policy:
    """Two groups of other rhythms: both compute, one of them, none."""
    kinds = ["conv", "attention"] if hasattr(pipe, "unet") else ["attention", "feed_forward"]
    policy = keyframe_policy(pipe, steps, [0, 3], groups=kinds)
    return policy.replace(masks={kinds[0]: "100100", kinds[1]: "101100"})


def many_rows(pipe: Any, steps: int) -> Policy:
    """Sites as groups of their own, so that every step has another row: more than torch's limit of eight."""
    sites = [site for site in find_denoisers(pipe)[0].sites if site.group == "block"][:4]
    groups = {f"g{i}": [site.name] for i, site in enumerate(sites)}
    policy = keyframe_policy(pipe, steps, [0], groups=groups)
    masks = {name: "1" + "".join("01"[(t >> i) & 1] for t in range(1, steps)) for i, name in enumerate(groups)}
    return policy.replace(masks=masks)


@pytest.mark.parametrize("before", [True, False], ids=["before", "after"])
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", SUBJECTS)
def test_one_graph_per_row(name: str, way: str, before: bool) -> None:
    _check(name, way, before, "aot_eager", three_rows, 6)


@pytest.mark.parametrize("name", ["DiT", "FLUX text to image"])
def test_inductor(name: str) -> None:
    _check(name, "whole", True, "inductor", three_rows, 6)


@pytest.mark.parametrize("way", ["whole", "repeated blocks"])
def test_more_rows_than_torch_allows(way: str) -> None:
    _check("FLUX text to image", way, True, "aot_eager", many_rows, 13)


def test_forecast_rows_are_one() -> None:
    """Weights are tensors: steps that differ only in them share a graph."""

    def forecast(pipe: Any, steps: int) -> Policy:
        return forecast_features(keyframe_policy(pipe, steps, [0, 2, 3, 7], groups=["block"]), Taylor(2))

    _check("DiT", "whole", True, "aot_eager", forecast, 10)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", SUBJECTS)
def test_what_graphs_give_may_be_overwritten(name: str, way: str) -> None:
    """As CUDA graphs do (``mode="reduce-overhead"``): here all that compiled code has given is spoilt after every step."""
    given: list[Tensor] = []

    def backend(graph: Any, inputs: Any) -> Any:
        def run(*args: Any) -> Any:
            results = tuple(part.clone() if isinstance(part, Tensor) else part for part in graph(*args))
            given.extend(part for part in results if isinstance(part, Tensor))
            return results

        return run

    def spoiling(step: Any) -> Any:
        @functools.wraps(step)
        def patched(*args: Any, **kwargs: Any) -> Any:
            result = step(*args, **kwargs)
            for tensor in given:
                tensor.fill_(float("nan") if tensor.is_floating_point() else 0)
            given.clear()
            return result

        return patched

    row = ROWS[name]
    pipe = row.make()
    policy = three_rows(pipe, 6)
    jumps = keyframe_policy(pipe, 6, [0, 2, 3], mixing=(1, 0, 1, 1, 0.5, 0), order=1)
    forecast = forecast_features(policy, Taylor(1))
    with apply_policy(pipe, policy) as applied:
        wanted = [row.render(applied.use(chosen), num_inference_steps=6) for chosen in (policy, jumps, forecast)]
    if not compile_as(pipe, way, backend):
        return
    pipe.scheduler.step = spoiling(pipe.scheduler.step)
    with apply_policy(pipe, policy) as applied:
        for chosen, picture in zip((policy, jumps, forecast), wanted, strict=True):
            found = row.render(applied.use(chosen), num_inference_steps=6)
            assert relative(found, picture) < 1e-6


def _check(name: str, way: str, before: bool, backend: str, make: Any, steps: int) -> None:
    row = ROWS[name]
    if not compile_as(row.make(), way, backend):
        assert way == "repeated blocks" and name == "DiT", "diffusers defines none"
        return
    bare = bare_graphs(name, way, backend)
    pipe = row.make()
    policy = make(pipe, steps)
    rows = {step.reuses for step in policy.plan() if step.calls}
    with apply_policy(pipe, policy) as applied:
        eager = row.render(applied, num_inference_steps=steps)
    if before:
        compile_as(pipe, way, backend)
    with apply_policy(pipe, policy) as applied:
        if not before:
            compile_as(pipe, way, backend)
        first = row.render(applied, num_inference_steps=steps)
        made, broken = graphs()
        assert broken == 0
        assert made <= bare * (len(rows) + 1)
        second = row.render(applied, num_inference_steps=steps)
        assert graphs() == (made, 0), "none after the first image"
        assert {group: applied.trace.mask(group) for group in policy.masks} == policy.masks
        assert applied.trace.forced == ()
    assert torch.equal(first, second)
    assert relative(first, eager) < (1e-6 if backend == "aot_eager" else 1e-2)
    if make is many_rows:
        assert len(rows) >= 12


@pytest.mark.parametrize("name", ["DiT", "FLUX text to image"])
def test_capture_compile(name: str) -> None:
    """Block by block where the network repeats blocks; taken off, nothing of it is left."""
    row = ROWS[name]
    pipe = row.make()
    policy = three_rows(pipe, 6)
    with apply_policy(pipe, policy) as applied:
        eager = row.render(applied, num_inference_steps=6)
    with apply_policy(pipe, policy, capture="compile") as applied:
        first = row.render(applied, num_inference_steps=6)
        made, broken = graphs()
        assert made and not broken
        assert torch.equal(row.render(applied, num_inference_steps=6), first)
        assert graphs() == (made, 0)
    assert relative(first, eager) < 1e-2
    assert all(module._compiled_call_impl is None for module in find_denoisers(pipe)[0].module.modules())
    with apply_policy(pipe, policy) as applied:
        assert torch.equal(row.render(applied, num_inference_steps=6), eager)
