"""Pairs of a policy and the bare pipeline: when they end, which are taken again, and what their file says."""

import json
from collections.abc import Iterator
from typing import Any

import torch

from frdiff_tune.measure import Case, timing
from frdiff_tune.measure.bench import Bench, Contender
from frdiff_tune.measure.conditions import Reading, Seen, Watch
from frdiff_tune.measure.latency import Pair, Stopping
from frdiff_tune.measure.nvml import GpuReading
from frdiff_tune.measure.stopwatch import Sample
from frdiff_tune.measure.timing import Series, Watched, series, watched_pair
from frdiff_tune.policy import Measured
from frdiff_tune.runtime import keyframe_policy
from tests.measure.test_latency import Toy
from tests.tiny import tiny_dit

CPU = torch.device("cpu")
CASES = tuple(Case({"class_labels": label}, label) for label in range(3))


class Told(Watch):
    """Conditions as they are told; each run uses as many J as there were readings before it."""

    def __init__(self, hot: Iterator[bool]) -> None:
        super().__init__(CPU)
        self.hot, self.energies, self.energy = hot, iter(range(1000)), 0.0

    def read(self) -> Reading:
        self.energy += next(self.energies)
        return Reading(0.0, None, 0.0, GpuReading(energy_j=self.energy))

    def seen(self, readings: Any) -> Seen:
        return Seen(None, ("hot",) if next(self.hot) else ())


def finished(run: Any) -> tuple[list[int], Any]:
    """Returns what a generator yields and returns."""
    yielded = []
    while True:
        try:
            yielded.append(next(run))
        except StopIteration as done:
            return yielded, done.value


def test_energy_goes_to_the_run_that_used_it() -> None:
    a, b = Toy("a", []), Toy("b", [])
    watch = Told(iter([False] * 2))
    assert watched_pair(a, b, lambda i: {"i": i}, 0, watch).energy_j == (1.0, 2.0)
    assert watched_pair(a, b, lambda i: {"i": i}, 1, watch).energy_j == (5.0, 4.0)  # b ran first


def test_disturbed_pairs_are_taken_again_twice_and_eight_times_in_all() -> None:
    # Pair 0: once more. Pair 1: stays hot. Pairs 2 to 7 stay hot, until eight are used up.
    told = [True, False, True, True, True] + [True] * 99
    log: list[str] = []
    yielded, found = finished(series(Toy("a", log), Toy("b", log), lambda i: {"i": i}, 1, Told(iter(told)), Stopping(0.02, 8)))
    assert yielded == list(range(1, 9))
    assert [bool(each.seen.disturbances) for each in found.kept] == [False] + [True] * 7
    assert found.repeated == 8
    assert log.count("a0") == 2 and log.count("a1") == 3 and log.count("a7") == 1


def test_figures_by_hand() -> None:
    pairs = [Pair(Sample(10.0 * k, 8.0 * k, 5), Sample(20.0 * k, 24.0 * k, 0)) for k in (1, 2, 4)]
    kept = tuple(Watched(pair, Seen(None, ()), (3.0, 6.0)) for pair in pairs)
    taken = Series(2, kept, 0, Stopping(0.02, 3))
    assert (taken.speedup.value, taken.reached) == (2.0, True)
    energy, throughput = taken.energy(), taken.throughput()
    assert energy is not None and (energy.per_image_j, energy.reference_per_image_j) == (1.5, 3.0)
    assert throughput.images_per_s.value == 100.0 and throughput.reference_images_per_s.value == 50.0
    assert throughput.speedup.value == 2.0 and throughput.batch == 2
    assert Series(2, (Watched(pairs[0], Seen(None, ())),), 0, Stopping()).energy() is None


def test_a_real_policy_is_timed_with_its_loop_and_its_throughput() -> None:
    pipe: Any = tiny_dit()
    with Bench(pipe) as bench:
        candidate, reference = Contender(bench, keyframe_policy(pipe, 4, [0, 2], mixing=0.0), 0), Contender(bench, None, 4)
        yielded, timed = finished(timing(candidate, reference, CASES, {}, 1, interval=1e-9, calls=2, throughput_batch=2))
    assert yielded == [1, 2, 3, 4]
    measured = Measured(quality=(), cases="", case_count=3, held_out=True, **timed.fields())
    assert Measured.model_validate_json(json.dumps(measured.model_dump(mode="json"))) == measured
    assert measured.latency.count == 2 and measured.latency_interval_reached is False
    assert measured.reference_loop_latency is not None and measured.loop_speedup is not None
    assert measured.reference_loop_latency.median_ms < measured.reference_latency.median_ms
    assert measured.throughput is not None and measured.throughput.batch == 2
    assert measured.conditions is not None and measured.energy is None and measured.first_call_ms is not None
    assert measured.first_call_ms > 0 and measured.cache_bytes > 0


def test_an_interval_that_is_narrow_enough_ends_the_series_at_its_first_look() -> None:
    subjects = Toy("a", []), Toy("b", [])
    for interval, pairs in ((1e9, 16), (1e-9, 24)):
        watch = Told(iter([False] * 99))
        found = finished(series(*subjects, lambda i: {"i": i}, 1, watch, Stopping(interval, 24)))[1]
        assert (len(found.kept), found.reached) == (pairs, interval > 1)
