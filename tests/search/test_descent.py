"""Runs with gradients: the pipeline's own loop, its derivatives beside finite differences, and what is learnt through it."""

from collections.abc import Callable
from itertools import islice
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from frdiff_tune.errors import MismatchError
from frdiff_tune.measure import Case, call_arguments
from frdiff_tune.runtime import Unrolled, apply_policy, frdiff_policy, keyframe_policy
from frdiff_tune.runtime.patch import MISSING
from frdiff_tune.runtime.variable import Variable
from frdiff_tune.search.autofr import learn_keyframes
from frdiff_tune.search.descent import descend
from tests.tiny import tiny_dit, tiny_sd

STEPS = 6
CALLS: dict[str, tuple[Callable[[], Any], dict[str, Any]]] = {
    "SD": (lambda: tiny_sd("epsilon"), {"guidance_scale": 3.0}),
    "DiT": (lambda: tiny_dit("v_prediction"), {"guidance_scale": 2.0}),
}


@pytest.fixture(scope="module", params=CALLS)
def subject(request: pytest.FixtureRequest) -> tuple[Any, dict[str, Any], list[Case]]:
    make, call = CALLS[request.param]
    pipe = make()
    name = "prompt" if request.param == "SD" else "class_labels"
    cases = [Case({name: value}, seed) for seed, value in enumerate(("a fox", "a cat") if name == "prompt" else (0, 2))]
    return pipe, call, cases


def plainly(pipe: Any, cases: list[Case], call: dict[str, Any], steps: int = STEPS) -> Tensor:
    """Returns what the last solver step of a plain call gives."""
    given: list[Tensor] = []
    step = pipe.scheduler.step

    def watched(*args: Any, **kwargs: Any) -> Any:
        result = step(*args, **kwargs)
        given.append(result[0] if isinstance(result, tuple) else result.prev_sample)
        return result

    pipe.scheduler.step = watched
    try:
        pipe(**call, **call_arguments(cases), num_inference_steps=steps)
    finally:
        del pipe.scheduler.step
    return given[-1]


@pytest.mark.parametrize("variable", ["output", "epsilon"])
def test_the_loop_is_the_pipeline_s_own_and_leaves_it_as_it_was(subject: Any, variable: Variable) -> None:
    pipe, call, cases = subject
    module = pipe.unet if hasattr(pipe, "unet") else pipe.transformer
    before = [weight.requires_grad for weight in module.parameters()]
    run = Unrolled(pipe, STEPS, variable)
    found = run(lambda moment, compute: compute(), **call, **call_arguments(cases), num_inference_steps=STEPS)
    assert torch.allclose(found, plainly(pipe, cases, call), atol=1e-4)
    assert [weight.requires_grad for weight in module.parameters()] == before
    assert vars(module).get("forward", MISSING) is MISSING and "step" not in vars(pipe.scheduler)


def test_gradients_are_those_of_finite_differences(subject: Any) -> None:
    pipe, call, cases = subject
    run = Unrolled(pipe, STEPS, "epsilon")

    def result(w: Tensor) -> Tensor:
        kept: dict[int, Tensor] = {}

        def rule(moment: Any, compute: Callable[[], Tensor]) -> Tensor:
            if moment.t == 2:
                return w * kept[moment.call]
            kept[moment.call] = compute()
            return kept[moment.call]

        return (run(rule, **call, **call_arguments(cases), num_inference_steps=STEPS) ** 2).mean()

    w = torch.tensor(0.9, requires_grad=True)
    result(w).backward()
    assert w.grad is not None
    with torch.no_grad():
        slope = (result(torch.tensor(0.95)) - result(torch.tensor(0.85))) / 0.1
    assert float(w.grad) == pytest.approx(float(slope), rel=0.05)


def test_descent_comes_closer_and_its_policy_draws_what_it_saw(subject: Any) -> None:
    pipe, call, cases = subject
    policy = keyframe_policy(pipe, STEPS, [0, 1, 3], 0.0, groups=[], variable="epsilon")
    seen = list(islice(descend(pipe, policy, cases, call), 12))
    assert seen[-1].loss < 0.9 * seen[0].loss
    assert seen[0].policy.digest == policy.digest or seen[0].policy.forecast["score"][2] == (1.0, 0.0)
    full = plainly(pipe, cases, call)
    for each in (seen[0], seen[-1]):
        with apply_policy(pipe, each.policy):
            drawn = plainly(pipe, cases, call)
        loss = float(((drawn - full) ** 2).mean() / (full**2).mean())
        assert loss == pytest.approx(each.loss, rel=0.02, abs=1e-6)


def test_descent_goes_towards_the_reference_whatever_the_policy_walks(subject: Any) -> None:
    pipe, call, cases = subject
    policy = keyframe_policy(pipe, 4, [0, 1, 3], 0.0, groups=[], variable="epsilon")
    seen = list(islice(descend(pipe, policy, cases, call, steps=STEPS), 2))
    with apply_policy(pipe, seen[0].policy):
        drawn = plainly(pipe, cases, call, steps=4)
    full = plainly(pipe, cases, call)
    assert seen[0].loss == pytest.approx(float(((drawn - full) ** 2).mean() / (full**2).mean()), rel=0.02)
    own = next(descend(pipe, policy, cases, call))
    assert own.loss != pytest.approx(seen[0].loss, rel=0.1), "its own run in full is another target"


def test_descent_is_for_jumps(subject: Any) -> None:
    pipe, call, cases = subject
    with pytest.raises(MismatchError, match="must only jump"):
        next(descend(pipe, frdiff_policy(pipe, STEPS, 2), cases, call))


def test_dear_steps_are_closed_and_cheap_ones_stay_open(subject: Any) -> None:
    pipe, call, cases = subject
    options: dict[str, Any] = {"steps": STEPS, "T": STEPS, "rate": 0.1}
    free = list(islice(learn_keyframes(pipe, cases, call, price=0.0, **options), 6))
    dear = list(islice(learn_keyframes(pipe, cases, call, price=100.0, **options), 6))
    assert free[0].error == pytest.approx(0.0, abs=1e-9) and free[0].computed == STEPS, "they begin open"
    assert dear[-1].computed == 1 and dear[-1].keyframes == (0,)
    assert len(free[-1].keyframes) > 1
    sizes = [each.computed for each in dear]
    assert sizes == sorted(sizes, reverse=True) and len({*sizes} - {1, STEPS}) >= 3, "one after the other, however dear"
    assert dear[0].nearest(3)[0] == 0 and len(dear[0].nearest(3)) == 3


def test_a_call_that_walks_fewer_steps_is_refused(subject: Any) -> None:
    pipe, call, cases = subject
    with pytest.raises(MismatchError, match="ends before step 9"):
        Unrolled(pipe, 9)(lambda moment, compute: compute(), **call, **call_arguments(cases), num_inference_steps=STEPS)
    assert np.isfinite(plainly(pipe, cases, call).numpy()).all()
