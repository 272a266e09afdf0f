"""Guidance on every pipeline of the table: passes share nothing, and the pair saves the half that it should."""

import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch import Tensor

from frdiff_tune import apply_policy
from frdiff_tune.policy import Policy
from frdiff_tune.runtime import find_denoisers
from frdiff_tune.runtime.guidance import half_call
from frdiff_tune.runtime.site import Denoiser
from tests.pipelines import ROWS
from tests.pipelines.subject import Call, Subject, recorded
from tests.runtime.rendering import relative


def mixed(subject: Subject) -> Policy:
    """Reuses and mixes at step 1, reuses later."""
    return subject.policy([0, 2], [1.0, 0.5, *[1.0] * (subject.row.T - 2)])


GUIDED = [name for name, row in ROWS.items() if row.guidance != "none"]
IN_ONE_BATCH = [name for name, row in ROWS.items() if row.guidance == "batch"]
IN_PASSES = [name for name, row in ROWS.items() if row.guidance == "passes"]


@pytest.mark.parametrize("subject", IN_ONE_BATCH, indirect=True)
def test_a_batch_equals_separate_passes(subject: Subject) -> None:
    """Every call on a pair is made as two calls instead."""
    with apply_policy(subject.pipe, mixed(subject)) as applied:
        together = subject.render(applied)
        undo = [(d.module, _split(d)) for d in find_denoisers(subject.pipe)]
        apart = subject.render(applied)
        for module, forward in undo:
            object.__setattr__(module, "forward", forward)
        assert {step.network_calls for step in applied.trace.steps} == {2}
        assert applied.trace.forced == ()
    assert relative(apart, together) < 1e-3


def _split(denoiser: Denoiser) -> Any:
    forward, family = denoiser.module.forward, denoiser.family
    names = list(inspect.signature(type(denoiser.module).forward).parameters)[1:]

    def split(*args: Any, **kwargs: Any) -> Any:
        x = family.sample(args, kwargs)
        outputs = []
        for first in (True, False):
            half, named = half_call(denoiser, x, names, args, kwargs, first)
            outputs.append(forward(*half, **named))
        score = torch.cat([family.score(output) for output in outputs])
        given = family.sample_of(score, x)
        return (given,) if isinstance(outputs[0], tuple) else type(outputs[0])(sample=given)

    object.__setattr__(denoiser.module, "forward", split)
    return forward


@pytest.mark.parametrize("subject", IN_PASSES, indirect=True)
def test_separate_passes_equal_one_batch(subject: Subject) -> None:
    """The calls of both passes are made again as one batch, in a loop written by hand."""
    pipe, policy = subject.pipe, mixed(subject)
    with apply_policy(pipe, policy) as applied, torch.no_grad():
        with recorded(pipe, lambda: applied.step) as calls, asked_of(pipe.scheduler) as asked:
            subject.render(applied)
        with applied.run():
            pipe.scheduler.set_timesteps(*asked[0][0], **asked[0][1])
            for t, time in enumerate(pipe.scheduler.timesteps[-policy.T :]):
                first, second = [call for call in calls if call.t == t]
                module = getattr(pipe, first.component)
                scores = _score(subject, module(*_joined(first.args, second.args), **_joined(first.kwargs, second.kwargs)))
                assert relative(scores, torch.cat([first.score, second.score])) < 1e-3, t
                pipe.scheduler.step(torch.zeros_like(first.score), time, torch.zeros_like(first.score))
        assert {step.network_calls for step in applied.trace.steps} == {1}


@contextmanager
def asked_of(scheduler: Any) -> Iterator[list[tuple[Any, Any]]]:
    """Records how timesteps are asked for."""
    asked: list[tuple[Any, Any]] = []
    ours = scheduler.set_timesteps

    def asking(*args: Any, **kwargs: Any) -> None:
        asked.append((args, kwargs))
        ours(*args, **kwargs)

    asking.__signature__ = inspect.signature(ours)  # type: ignore[attr-defined]
    object.__setattr__(scheduler, "set_timesteps", asking)
    try:
        yield asked
    finally:
        object.__setattr__(scheduler, "set_timesteps", ours)


def _score(subject: Subject, output: Any) -> Tensor:
    return find_denoisers(subject.pipe)[0].family.score(output)


def _joined(first: Any, second: Any) -> Any:
    """Returns arguments of two calls as those of one; positions, which are given without a batch, stay."""
    if isinstance(first, dict):
        return {key: first[key] if key.endswith("_ids") else _joined(first[key], second[key]) for key in first}
    if isinstance(first, torch.Tensor):
        return torch.cat([first, second])
    if isinstance(first, list):
        return first + second
    return tuple(_joined(a, b) for a, b in zip(first, second, strict=True)) if isinstance(first, tuple) else first


@pytest.mark.parametrize("subject", GUIDED, indirect=True)
def test_the_pair_computes_the_conditional_half_and_nothing_else(subject: Subject) -> None:
    policy = subject.policy([0, 2], groups=["guidance"])
    with recorded(subject.pipe, flops=True) as plain:
        subject.render()
        subject.render(None, 1)
    per_step = 2 if subject.row.guidance == "passes" else 1
    first, other = plain[:per_step], plain[subject.row.T * per_step :][:per_step]
    with recorded(subject.pipe, lambda: applied.step, flops=True) as calls, apply_policy(subject.pipe, policy) as applied:
        subject.render(applied)
        reused = set(range(subject.row.T)) - {0, 2, *applied.trace.forced}
    conditional = _conditional(subject, first, other)
    assert conditional
    for call in [call for call in calls if call.t in reused]:
        asked = _tensors(call)
        assert all(torch.equal(asked[path], tensor) for path, tensor in conditional.items()), call.t
        whole = sum(call.flops for call in plain[: subject.row.T * per_step]) / subject.row.T
        assert call.flops == pytest.approx(whole / 2, rel=1e-3)  # Mochi's positions are computed once a call
    assert [sum(call.t == t for call in calls) for t in sorted(reused)] == [1] * len(reused)


def _conditional(subject: Subject, first: list[Call], other: list[Call]) -> dict[str, Tensor]:
    """Returns the arguments of that half of a pair which another prompt changes, without those that it changes in both."""
    pairs = [(_tensors(call), _tensors(another)) for call, another in zip(first, other, strict=True)]
    if subject.row.guidance == "batch":
        pairs = [(_half(pairs[0][0], i), _half(pairs[0][1], i)) for i in (0, 1)]
    changed = [{path for path in a if path in b and not _equal(a[path], b[path])} for a, b in pairs]
    both = changed[0] & changed[1]
    assert bool(changed[0] - both) != bool(changed[1] - both), "one half alone is the prompt's"
    i = 0 if changed[0] - both else 1
    return {path: pairs[i][0][path] for path in changed[i] - both}


def _half(tensors: dict[str, Tensor], i: int) -> dict[str, Tensor]:
    """Returns the first or second half of all that can have two."""
    return {path: tensor.chunk(2)[i] for path, tensor in tensors.items() if tensor.ndim and tensor.shape[0] % 2 == 0}


def _equal(a: Tensor, b: Tensor) -> bool:
    return a.shape == b.shape and torch.equal(a, b)


def _tensors(call: Call) -> dict[str, Tensor]:
    """Returns the tensors of a call by their paths; lists are taken as batches."""
    found: dict[str, Tensor] = {}

    def walk(path: str, tree: Any) -> None:
        if isinstance(tree, torch.Tensor):
            found[path] = tree
        elif isinstance(tree, list) and tree and isinstance(tree[0], torch.Tensor) and len({x.shape for x in tree}) == 1:
            found[path] = torch.stack(tree)
        elif isinstance(tree, (list, tuple)):
            for i, part in enumerate(tree):
                walk(f"{path}.{i}", part)
        elif isinstance(tree, dict):
            for key, part in tree.items():
                walk(f"{path}.{key}", part)

    walk("", {**dict(enumerate(call.args)), **call.kwargs})
    return found
