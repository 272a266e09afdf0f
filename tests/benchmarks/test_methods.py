"""Methods of drawing with few network calls: jumps in lockstep, their searches on toys, and the forecasts' weights."""

from collections.abc import Sequence
from itertools import combinations
from typing import Any

import pytest
import torch

from benchmarks.methods.annealing import anneal, neighbours
from benchmarks.methods.lockstep import Lockstep, log_error
from benchmarks.methods.optimal_steps import optimal_sets
from benchmarks.methods.spectrum import forecast, growing, schedules, windows
from benchmarks.methods.timestep_lists import aligned_sets, listed
from frdiff_tune.measure import Case, blocks, draw
from frdiff_tune.measure.bench import Bench, Contender
from frdiff_tune.policy import Policy
from frdiff_tune.runtime import keyframe_policy
from tests.tiny import tiny_dit, tiny_sd

STEPS = 10


def _latents(pipe: Any, policy: Policy | None, cases: Sequence[Case], call: dict[str, Any]) -> torch.Tensor:
    with Bench(pipe) as bench:
        drawn = [draw(Contender(bench, policy, STEPS), block, call).latents for block in blocks(cases, 2)]
    return torch.cat([torch.from_numpy(each) for each in drawn if each is not None])


@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction"])
@pytest.mark.parametrize("model", ["text", "class"])
def test_lockstep_ends_where_the_pipeline_does(model: str, prediction: str) -> None:
    if model == "text":
        pipe, call = tiny_sd(prediction), {"height": 32, "width": 32, "guidance_scale": 3.0}
        cases = [Case({"prompt": f"a {name}"}, seed=i) for i, name in enumerate(("fox", "owl", "bee"))]
    else:
        pipe, call = tiny_dit(prediction), {"guidance_scale": 3.0}
        cases = [Case({"class_labels": i}, seed=i) for i in range(3)]
    run = Lockstep(pipe, cases, call, STEPS)
    whole, keyframes = run.reference()[-1], (0, 3, 4, 8)
    assert torch.allclose(whole, _latents(pipe, None, cases, call), atol=2e-4)
    jumps = keyframe_policy(pipe, STEPS, keyframes, 0.0, variable="epsilon")
    assert torch.allclose(run.final(keyframes), _latents(pipe, jumps, cases, call), atol=2e-4)
    assert log_error(whole, whole) < log_error(run.final(keyframes), whole) < log_error(run.final((0,)), whole)


def test_beginnings_are_walked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    pipe = tiny_dit()
    run = Lockstep(pipe, [Case({"class_labels": 1}, seed=0)], {"guidance_scale": 3.0}, STEPS)
    own, asked = run.clean, list[int]()

    def clean(x: torch.Tensor, k: int) -> torch.Tensor:
        asked.append(k)
        return own(x, k)

    monkeypatch.setattr(run, "clean", clean)
    run.final((0, 2, 5))
    run.final((0, 2, 6))
    run.final((0, 2, 5))
    assert asked == [0, 2, 5, 6]


class Curve:
    """A sample that follows x' = -v(t) with a network that answers v at the present step, whatever x is."""

    def __init__(self, speeds: Sequence[float]) -> None:
        self.T, self.speeds = len(speeds), speeds

    def clean(self, x: torch.Tensor, k: int) -> torch.Tensor:
        return torch.full_like(x, self.speeds[k])

    def jump(self, x: torch.Tensor, clean: torch.Tensor, k: int, n: int) -> torch.Tensor:
        return x - (n - k) * clean

    def reference(self) -> torch.Tensor:
        states = [torch.zeros(1, 1)]
        for k in range(self.T):
            states.append(self.jump(states[-1], self.clean(states[-1], k), k, k + 1))
        return torch.stack(states)


def test_optimal_steps_finds_where_the_course_turns() -> None:
    run = Curve([1.0, 1.0, 1.0, 5.0, 5.0, 2.0, 2.0])
    found = optimal_sets(run, 4)
    assert found[1] == (0,)
    assert found[3] == (0, 3, 5), "one call for each stretch of equal speed loses nothing"
    ends = {k: (k * 1.0 + (7 - k) * run.speeds[k] - 17.0) ** 2 for k in range(1, 7)}  # jump from 0 to k, from k to 7
    assert ends[found[2][1]] <= min(ends[3], ends[5])
    assert all(len(keyframes) == size and keyframes[0] == 0 for size, keyframes in found.items())


def test_annealing_finds_the_best_set_of_a_small_space() -> None:
    def error(keyframes: tuple[int, ...]) -> float:
        asked.append(keyframes)
        return float(sum(abs(k - wanted) for k, wanted in zip(keyframes, (0, 2, 11), strict=True)))

    asked = list[tuple[int, ...]]()
    assert anneal(error, 20, 3, 30) == (0, 2, 11)
    assert len(asked) == len(set(asked)) == 30, "a set is tried once"
    assert asked[0] == (0, 7, 13)
    assert all(keyframes[0] == 0 and len(keyframes) == 3 for keyframes in asked)
    asked.clear()
    anneal(error, 4, 3, 30)
    assert sorted(asked) == [(0, a, b) for a, b in combinations(range(1, 4), 2)], "there are no more"


def test_near_neighbours_come_first() -> None:
    found = list(neighbours((0, 1, 4), 6))
    assert found[:3] == [(0, 1, 5), (0, 1, 3), (0, 2, 4)]
    assert found[3:] == [(0, 1, 2), (0, 3, 4)], "two steps away; three steps away is step 4, which is taken"


def test_windows_grow_by_an_equal_amount() -> None:
    authors = (0, 1, 2, 3, 4, 6, 8, 11, 15, 20, 25, 31, 38, 46)  # windows of 2, 2, 3, 4, 5, 5, 6, 7, 8
    assert growing(50, 5, 0.75) == authors
    assert windows(50, 27, 5) == growing(50, 5, 0.0) == (0, 1, 2, 3, *range(4, 50, 2))
    assert windows(12, 4, 2) == (0, 1, 3, 7), "windows of 2, 4 and 6; a growth below 2 leaves five steps before 12"
    assert windows(10, 9, 1) is None, "every other step makes five of ten"
    for calls in (4, 5, 6, 8, 10, 12, 16):
        found = schedules(50, calls)
        assert all(len(keyframes) == calls for keyframes in found.values())
        assert len(set(found.values())) == len(found) > 1


def test_forecasts_keep_what_does_not_change(emoji_dit: Any) -> None:
    held = keyframe_policy(emoji_dit, 12, [0, 1, 4, 9], 0.0, variable="epsilon")
    for share in (0.0, 0.5, 1.0):
        policy = forecast(held, share)
        assert (policy.nfe, policy.keyframes) == (4, held.keyframes)
        assert all(sum(step.weights) == pytest.approx(1.0, abs=0.02) for step in policy.plan() if step.weights)
    line = [step.weights for step in forecast(held, 0.0).plan()][3]
    assert line[:2] == pytest.approx((3.0, -2.0)), "Taylor's alone: from steps 0 and 1 to step 3"


def test_lists_have_as_many_timesteps_as_asked_for(emoji: Any, emoji_dit: Any) -> None:
    for pipe in (emoji, emoji_dit):
        for calls in (4, 5, 6, 8, 10, 12, 16):
            found = aligned_sets(pipe, 50, calls)
            assert found
            for keyframes in found.values():
                policies = dict(listed(pipe, 50, keyframes))
                assert {policy.nfe for policy in policies.values()} == {calls}
                assert len(keyframes) == calls and keyframes[0] == 0
