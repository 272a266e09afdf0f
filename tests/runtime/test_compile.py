"""``torch.compile`` with a policy on: one graph per distinct row, none after the first image, none broken."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch

from frdiff_tune import apply_policy, keyframe_policy
from frdiff_tune.policy import Policy
from frdiff_tune.runtime import Applied, Taylor, find_denoisers, forecast_features
from tests.runtime.compiled import (
    SUBJECTS,
    WAYS,
    Spoiler,
    bare_graphs,
    compile_as,
    graphs,
    many_rows,
    reset,
    three_rows,
    two_rows,
)
from tests.runtime.rendering import relative


@pytest.fixture(autouse=True)
def afresh() -> Iterator[None]:
    reset()
    yield
    reset()


def can_be_compiled(name: str, way: str) -> bool:
    able = compile_as(SUBJECTS[name].make(), way, "eager")
    assert able or (way == "repeated blocks" and name == "DiT"), "diffusers defines none"
    return able


@pytest.mark.parametrize("way", ["whole", "repeated blocks"])
@pytest.mark.parametrize("name", SUBJECTS)
def test_compiled_before(name: str, way: str) -> None:
    """What graphs give may be overwritten once a step is over: it is copied where it is kept."""
    if not can_be_compiled(name, way):
        return
    row, spoiler = SUBJECTS[name], Spoiler()
    pipe = row.make()
    policy = three_rows(pipe, 6)
    jumps = keyframe_policy(pipe, 6, [0, 2, 3], mixing=(1, 0, 1, 1, 0.5, 0), order=1)
    forecast = forecast_features(policy, Taylor(1))
    with apply_policy(pipe, policy) as applied:
        wanted = [row.render(applied.use(chosen), num_inference_steps=6) for chosen in (policy, jumps, forecast)]
    compile_as(pipe, way, spoiler)
    pipe.scheduler.step = spoiler.after(pipe.scheduler.step)
    with apply_policy(pipe, policy) as applied:
        _few_graphs(applied, name, way, wanted[0], 1e-6)
        for chosen, picture in zip((jumps, forecast), wanted[1:], strict=True):
            assert relative(row.render(applied.use(chosen), num_inference_steps=6), picture) < 1e-6


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", SUBJECTS)
def test_compiled_after(name: str, way: str) -> None:
    _check(name, way, "eager", three_rows, before=False)


@pytest.mark.parametrize("way", ["whole", "repeated blocks"])
@pytest.mark.parametrize("name", SUBJECTS)
def test_inductor(name: str, way: str) -> None:
    _check(name, way, "inductor", two_rows, within=1e-2)


@pytest.mark.parametrize("way", ["whole", "repeated blocks"])
@pytest.mark.parametrize("name", SUBJECTS)
def test_more_rows_than_torch_allows(name: str, way: str) -> None:
    rows = {step.reuses for step in many_rows(SUBJECTS[name].make(), 13).plan()}
    assert len(rows) >= 12
    _check(name, way, "eager", many_rows, steps=13)


def test_forecast_rows_are_one() -> None:
    """Weights are tensors: steps that differ only in them share a graph."""

    def forecast(pipe: Any, steps: int) -> Policy:
        return forecast_features(keyframe_policy(pipe, steps, [0, 2, 3, 7], groups=["block"]), Taylor(2))

    _check("DiT", "whole", "aot_eager", forecast, steps=10)


def _check(
    name: str,
    way: str,
    backend: str,
    make: Callable[[Any, int], Policy],
    *,
    steps: int = 6,
    before: bool = True,
    within: float = 1e-6,
) -> None:
    if not can_be_compiled(name, way):
        return
    row = SUBJECTS[name]
    pipe = row.make()
    policy = make(pipe, steps)
    with apply_policy(pipe, policy) as applied:
        eager = row.render(applied, num_inference_steps=steps)
    if before:
        compile_as(pipe, way, backend)
    with apply_policy(pipe, policy) as applied:
        if not before:
            compile_as(pipe, way, backend)
        _few_graphs(applied, name, way, eager, within)


def _few_graphs(applied: Applied, name: str, way: str, eager: torch.Tensor, within: float) -> None:
    """Draws twice: at most the bare network's graphs for every row and one more, all during the first image."""
    row, policy = SUBJECTS[name], applied.policy
    allowed = bare_graphs(name, way) * (len({step.reuses for step in policy.plan() if step.calls}) + 1)
    first = row.render(applied, num_inference_steps=policy.T)
    made, broken = graphs()
    assert 0 < made <= allowed and broken == 0
    second = row.render(applied, num_inference_steps=policy.T)
    assert graphs() == (made, 0), "none after the first image"
    assert {group: applied.trace.mask(group) for group in policy.masks} == policy.masks
    assert applied.trace.forced == ()
    assert torch.equal(first, second)
    assert relative(first, eager) < within


@pytest.mark.parametrize("name", ["DiT", "FLUX"])
def test_capture_compile(name: str) -> None:
    """Block by block where the network repeats blocks; taken off, nothing of it is left."""
    row = SUBJECTS[name]
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
