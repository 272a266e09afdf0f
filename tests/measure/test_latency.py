import inspect
from dataclasses import dataclass, field
from typing import Any

import pytest
import torch
from diffusers import DDIMScheduler

from frdiff_tune.measure import Interval, latency_of, paired_ratio, time_interleaved, warm_up, watched_loop
from frdiff_tune.measure.bench import Bench, Contender
from frdiff_tune.measure.latency import MOST_WARMUPS, Stopping, WarmUp, half_width
from frdiff_tune.measure.stopwatch import HostClock, clock_of, sample
from frdiff_tune.runtime import keyframe_policy
from tests.tiny import tiny_sd

CPU = torch.device("cpu")


@dataclass
class Toy:
    """Walks a real scheduler and writes down what happens to it."""

    name: str
    log: list[str]
    solver: Any = field(default_factory=DDIMScheduler)

    def ready(self) -> None:
        self.log.append(f"ready {self.name}")

    def scheduler(self) -> Any:  # noqa: ANN401
        return self.solver

    def cache_bytes(self) -> int:
        return len(self.name)

    def __call__(self, **arguments: Any) -> None:  # noqa: ANN401
        self.log.append(f"{self.name}{arguments['i']}")
        self.solver.set_timesteps(2)
        x = torch.zeros(1, 1, 2, 2)
        for t in self.solver.timesteps:
            x = self.solver.step(x, t, x).prev_sample


def test_subjects_alternate() -> None:
    log: list[str] = []
    a, b = Toy("a", log), Toy("bb", log)
    pairs = list(time_interleaved(a, b, lambda i: {"i": i}, range(4), CPU))
    assert [entry for entry in log if "ready" not in entry] == ["a0", "bb0", "bb1", "a1", "a2", "bb2", "bb3", "a3"]
    assert log[::2] == ["ready " + entry[:-1] for entry in log[1::2]]
    assert all((pair.first.cache_bytes, pair.second.cache_bytes) == (1, 2) for pair in pairs)
    assert all(0 < pair.first.loop_ms < pair.first.total_ms for pair in pairs)


def test_order_goes_on_over_blocks() -> None:
    log: list[str] = []
    list(time_interleaved(Toy("a", log), Toy("b", log), lambda i: {"i": i}, [1], CPU))
    assert log[1::2] == ["b1", "a1"]


def test_the_scheduler_is_as_before() -> None:
    scheduler: Any = DDIMScheduler()
    before, signature = dict(vars(scheduler)), inspect.signature(scheduler.step)
    with pytest.raises(KeyboardInterrupt), watched_loop(scheduler, HostClock(CPU)):
        assert inspect.signature(scheduler.step) == signature
        raise KeyboardInterrupt
    assert vars(scheduler) == before
    own = scheduler.step = scheduler.step
    with watched_loop(scheduler, HostClock(CPU)):
        assert scheduler.step is not own
    assert scheduler.step is own and "set_timesteps" not in vars(scheduler)


def test_real_calls_under_a_policy_and_bare() -> None:
    pipe: Any = tiny_sd()
    policy = keyframe_policy(pipe, 6, [0, 3], mixing=0.0)
    before = pipe.scheduler
    with Bench(pipe) as bench:
        for contender in (Contender(bench, policy, 0), Contender(bench, None, 4)):
            taken = sample(contender, {"prompt": "a fox"}, CPU)
            assert 0 < taken.loop_ms < taken.total_ms
            assert (taken.cache_bytes > 0) == (contender.policy is policy)
    assert pipe.scheduler is before and "step" not in vars(before) and "forward" not in vars(pipe.unet)


def test_a_device_without_events_is_timed_by_the_host() -> None:
    assert isinstance(clock_of(CPU), HostClock) and isinstance(clock_of(torch.device("meta")), HostClock)


def test_warm_up_ends() -> None:
    done = warm_up(Toy("a", []), lambda i: {"i": i}, CPU)
    assert done.settled or len(done.times_ms) == 1 + MOST_WARMUPS


def test_the_first_call_does_not_count_as_agreeing() -> None:
    assert not WarmUp((1.0, 1.0, 1.0)).settled and WarmUp((90.0, 1.0, 1.04, 1.02)).settled
    assert not WarmUp((1.0, 1.0, 1.0, 1.06)).settled


def test_looks_are_rare_and_end_at_the_limit() -> None:
    assert list(Stopping(most=64).looks()) == [16, 24, 32, 48, 64]
    assert list(Stopping(most=20).looks()) == [16, 20] and list(Stopping(most=8).looks()) == [8]
    assert half_width(Interval(2.0, 1.9, 2.2)) == pytest.approx(0.075)
    assert Stopping(0.08).reached(Interval(2.0, 1.9, 2.2)) and not Stopping(0.07).reached(Interval(2.0, 1.9, 2.2))


def test_figures_by_hand() -> None:
    latency = latency_of([4.0, 2.0, 3.0])
    assert (latency.median_ms, latency.count, latency.samples_ms) == (3.0, 3, (4.0, 2.0, 3.0))
    # Ratios 2, 2, 2 although both drift by a factor of four.
    assert paired_ratio([2.0, 4.0, 8.0], [1.0, 2.0, 4.0]) == Interval(2.0, 2.0, 2.0)
