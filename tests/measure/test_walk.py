"""The walk: its arithmetic against what each pipeline really walks, on every row that shortens it."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from frdiff_tune.errors import MeasureError
from frdiff_tune.measure import Case, Walk
from frdiff_tune.runtime.solver import make_scheduler, timesteps_of, walk, walker_of
from tests.pipelines import ROWS, Row
from tests.runtime.rendering import snapshot
from tests.tiny import tiny_dit, tiny_sd

SHORTENED = [name for name, row in ROWS.items() if row.walked is not None]


def walk_of(row: Row, pipe: Any, **more: Any) -> Walk:
    return Walk(pipe, call={**row.call(0, 1, 1), **more})


@pytest.mark.parametrize("name", SHORTENED)
def test_arithmetic_is_what_the_pipeline_walks(name: str) -> None:
    row = ROWS[name]
    pipe = row.make()
    walk, before = walk_of(row, pipe), snapshot(pipe)
    assert walk.T(row.steps) == row.walked == walk.full(row.steps).T
    assert snapshot(pipe) == before
    scheduler_before = pipe.scheduler
    solver = make_scheduler(pipe, "HeunDiscreteScheduler") if "FlowMatch" not in type(pipe.scheduler).__name__ else None
    for steps, scheduler in ((row.steps, None), (9, None), (7, solver)):
        case = next(iter(walk._cases.values()))
        assert walk.T(steps, scheduler) == walk._measured(case, steps, _fresh(scheduler or pipe.scheduler)), (steps, scheduler)
    assert restored(pipe, before) and pipe.scheduler is scheduler_before


def restored(pipe: Any, before: dict[str, Any]) -> bool:
    """Whether modules are as they were; a call that was begun leaves its guidance on the pipeline, as any call does."""
    return {**snapshot(pipe), "pipe": None} == {**before, "pipe": None}


def _fresh(scheduler: Any) -> Any:
    return type(scheduler).from_config(scheduler.config)


@pytest.mark.parametrize("make", [tiny_sd, tiny_dit])
def test_elsewhere_all_timesteps_are_walked(make: Any) -> None:
    pipe = make()
    walk = Walk(pipe)
    assert (walk.T(7), walk.T(7, "HeunDiscreteScheduler" if make is tiny_sd else None)) == (7, 13 if make is tiny_sd else 7)
    assert (walk.steps(5), walk.steps(1)) == (5, 1)
    assert walk.full(4).T == len(timesteps_of(pipe.scheduler, 4))


def test_a_call_that_shortens_in_its_own_way_is_measured() -> None:
    """As the img2img pipeline, had it another name for its strength."""
    row = ROWS["SD img2img"]
    pipe = row.make()

    class Other(type(pipe)):  # type: ignore[misc]
        def get_timesteps(self, num_inference_steps: int, strength: float, device: Any, sigmas: Any = None) -> Any:
            return super().get_timesteps(num_inference_steps, strength, device)

    pipe.__class__ = Other
    walk, before = walk_of(row, pipe), snapshot(pipe)
    assert [walk.T(steps) for steps in (1, 2, 6)] == [0, 1, 4]
    assert restored(pipe, before)


def test_strengths_by_hand() -> None:
    pipe = ROWS["SD img2img"].make()
    assert Walk(pipe).T(10) == 8, "the pipeline's own strength is 0.8"
    walk = Walk(pipe, call={"strength": 0.3})
    assert [walk.T(steps) for steps in (3, 4, 10)] == [0, 1, 3]
    assert (walk.steps(1), walk.steps(3)) == (4, 10)
    with pytest.raises(MeasureError, match=r"with strength = 0.3 none of 3 is walked. Ask for at least 4 steps"):
        walk.full(3)


def test_cases_of_two_lengths_are_told_both() -> None:
    pipe = ROWS["SD img2img"].make()
    cases = [Case({"prompt": "a fox"}), Case({"prompt": "a bee", "strength": 0.65})]
    same = Walk(pipe, cases, {"strength": 0.7})
    assert (same.T(4), same.T(10)) == (2, 0), "2 and 2 of 4, but 7 and 6 of 10"
    same.check(4)
    with pytest.raises(MeasureError, match=r"strength = 0.7 walks 7 and one with strength = 0.65 walks 6. .* two studies"):
        same.check(10)


def test_threads_do_not_read_each_other_s_timesteps() -> None:
    scheduler = tiny_sd("epsilon").scheduler
    own = walker_of(scheduler)
    walk(own, 5)
    with ThreadPoolExecutor(1) as other:
        assert len(other.submit(lambda: walk(walker_of(scheduler), 20)).result()) == 20
    assert len(own.timesteps) == 5 and walker_of(scheduler) is own, "a thread builds it once"
