"""Fronts, hypervolume and the choice of a point, on numbers worked by hand."""

import json
from collections.abc import Sequence
from dataclasses import replace
from math import log10
from typing import Any

import pytest

from frdiff_tune.errors import LimitError, StudyError
from frdiff_tune.measure import Interval
from frdiff_tune.policy import Latency
from frdiff_tune.runtime import full_policy
from frdiff_tune.search import Front, Limit, Pick, Point, TrialOutcome, hypervolume, knee, pick
from frdiff_tune.search.choice import ranked, within_floor
from frdiff_tune.search.objective import OBJECTIVES, non_dominated
from frdiff_tune.search.volume import FLOOR
from tests.search.recorded import floor_at
from tests.tiny import tiny_dit

POLICY = full_policy(tiny_dit(), 4)


def outcome(
    number: int, latency_ms: float, lpips: float, family: str = "searched", high: float | None = None
) -> TrialOutcome:
    exact = Interval(lpips, lpips, high or lpips)
    time = Interval(latency_ms, latency_ms, latency_ms)
    return TrialOutcome(number, family, "", 4, time, exact, {"lpips": exact}, 16, 0, params={})


def shown(*figures: tuple[float, float], limit: float = 1.0) -> Front:
    outcomes = [outcome(i, latency, lpips) for i, (latency, lpips) in enumerate(figures)]
    best = {found.number for found in non_dominated(outcomes)}
    points = tuple(Point(o, POLICY, o.number in best, o.lpips.value <= limit) for o in outcomes)
    return Front(points, Latency(median_ms=100.0, low_ms=99.0, high_ms=101.0, count=3))


def unsure(*figures: tuple[float, float, float], objectives: tuple[str, ...] = OBJECTIVES, **fields: Any) -> Front:
    """Returns a front of (latency, LPIPS, its upper end); of one objective all points keep its limits as its file would say."""
    outcomes = [outcome(i, latency, lpips, high=high) for i, (latency, lpips, high) in enumerate(figures)]
    best = {found.number for found in non_dominated(outcomes, objectives)}
    limits: tuple[Limit, ...] = fields.get("limits", ())
    points = []
    for each in outcomes:
        figures_of = [(limit, each.figure(limit.name)) for limit in limits]
        within = all(limit.excess(figure.value) <= 0 for limit, figure in figures_of)
        surely = all(limit.excess(limit.worst(figure)) <= 0 for limit, figure in figures_of)
        points.append(Point(each, POLICY, each.number in best, within, surely))
    reference = Latency(median_ms=100.0, low_ms=99.0, high_ms=101.0, count=3)
    return Front(tuple(points), reference, objectives=objectives, **fields)


def numbers(points: Sequence[Point]) -> list[int]:
    return [point.trial.number for point in points]


FIGURES = ((100.0, 0.0), (60.0, 0.001), (50.0, 0.002), (55.0, 0.004), (20.0, 0.04), (10.0, 0.2))


def test_non_dominated_by_hand() -> None:
    assert [point.trial.number for point in shown(*FIGURES).best] == [5, 4, 2, 1, 0]
    twins = [outcome(0, 5.0, 0.1), outcome(1, 5.0, 0.1)]
    assert [found.number for found in non_dominated(twins)] == [0]


def test_hypervolume_by_hand() -> None:
    assert hypervolume([(0.005, 0.5)]) == pytest.approx(0.5)
    assert hypervolume([(0.005, 0.5), (0.0005, 0.8)]) == pytest.approx(0.5 + 0.2)
    assert hypervolume([(0.005, 0.5), (0.006, 0.6)]) == pytest.approx(0.5)
    assert hypervolume([(0.1, 0.1), (0.001, 1.2)]) == 0.0
    assert hypervolume([(0.0, 0.0)]) == pytest.approx(log10(0.05) - log10(FLOOR))
    assert shown((50.0, 0.005)).volume(shown((50.0, 0.005)).best) == pytest.approx(0.5)


def test_the_fastest_under_a_quality_bound_and_the_finest_under_a_time_bound() -> None:
    found = shown(*FIGURES)
    assert pick(found, Pick(max_lpips=0.004)).trial.number == 2
    assert pick(found, Pick(max_lpips=0.05)).trial.number == 4
    assert pick(found, Pick(max_latency_ms=60.0)).trial.number == 1
    assert pick(found, Pick(max_lpips=0.05, max_latency_ms=60.0)).trial.number == 4
    assert pick(found, Pick.parse("trial:3")).trial.number == 3
    assert pick(shown(*FIGURES, limit=0.003), Pick(max_latency_ms=50.0)).trial.number == 2


def test_the_knee_is_farthest_below_the_chord() -> None:
    found = shown((100.0, 1e-5), (90.0, 5e-5), (30.0, 1e-4), (20.0, 0.05), (10.0, 0.1))
    assert knee(found.points).trial.number == 2
    assert pick(found).trial.number == 2
    assert knee(shown((10.0, 0.1), (20.0, 0.2)).points).trial.number == 0


def test_the_knee_pays_for_no_closeness_that_nobody_sees() -> None:
    found = shown((3239.0, 1e-5), (2866.0, 1e-5), (2691.0, 1e-4), (2106.0, 2e-4), (1342.0, 0.0034), (704.0, 0.029))
    assert knee(found.points).trial.number == 3


def test_the_knee_keeps_limits_surely_if_any_point_does() -> None:
    found = shown((100.0, 1e-5), (90.0, 5e-5), (30.0, 1e-4), (20.0, 0.05), (10.0, 0.1))
    unsure = [replace(point, surely=point.trial.number < 2) for point in found.points]
    assert pick(replace(found, points=tuple(unsure))).trial.number == 1
    assert pick(replace(found, points=tuple(replace(point, surely=False) for point in unsure))).trial.number == 2


def test_an_empty_choice_says_which_limit_and_by_how_much() -> None:
    found = shown((60.0, 0.004), (20.0, 0.04))
    with pytest.raises(LimitError, match="`max_lpips` must be at least 0.004, .* but got 0.001. Loosen it by 0.003"):
        pick(found, Pick(max_lpips=0.001))
    with pytest.raises(LimitError, match="`max_latency_ms` must be at least 20, .* but got 15. Loosen it by 5 ms"):
        pick(found, Pick(max_latency_ms=15.0))
    with pytest.raises(LimitError, match="at least 60, the least that was measured with LPIPS up to 0.01"):
        pick(found, Pick(max_lpips=0.01, max_latency_ms=30.0))
    with pytest.raises(LimitError, match="limits must leave a point but none of 2 trials keeps them; the finest, trial 0"):
        pick(shown((60.0, 0.004), (20.0, 0.04), limit=0.001))
    assert LimitError.exit_code == 5


def test_a_pick_that_names_nothing_is_explained() -> None:
    with pytest.raises(StudyError, match="`pick` must be floor, knee or trial:N but got 'best'"):
        Pick.parse("best")
    with pytest.raises(StudyError, match="`pick` must name a finished trial but got 9"):
        pick(shown((60.0, 0.004)), Pick(trial=9))


def test_params_of_an_outcome_are_json() -> None:
    assert json.loads(json.dumps(dict(outcome(0, 1.0, 0.1).params))) == {}


def test_the_knee_of_some_is_measured_by_the_whole_front() -> None:
    found = shown((100.0, 1e-5), (34.0, 9e-5), (30.0, 9.3e-5), (27.0, 1.05e-4), (20.0, 0.05), (10.0, 0.1))
    assert pick(found).trial.number == 3
    assert knee(found.points[1:4]).trial.number == 2, "three alone have another knee"
    assert pick(found, among={1, 2, 3}).trial.number == 3
    assert pick(found, among={0, 4}).trial.number == 0
    assert pick(found, Pick(max_lpips=1e-3), among={0, 1}).trial.number == 1
    unsure = tuple(replace(point, surely=point.trial.number == 0) for point in found.points)
    assert pick(replace(found, points=unsure), among={2, 3}).trial.number == 3, "none of them is sure"
    with pytest.raises(LimitError, match="limits must leave a point"):
        pick(shown((60.0, 0.004), (20.0, 0.04), limit=0.01), among={1})


def test_a_limit_is_kept_by_the_end_of_the_interval_and_the_next_ones_are_slower_and_closer() -> None:
    found = unsure((80.0, 0.001, 0.002), (60.0, 0.004, 0.006), (50.0, 0.006, 0.008), (40.0, 0.008, 0.02), (30.0, 0.009, 0.011))
    assert numbers(ranked(found, Pick(max_lpips=0.01))) == [2, 1, 0, 4, 3], "of those at the bound the nearest first"
    assert pick(found, Pick(max_lpips=0.0085)).trial.number == 2
    assert pick(unsure((40.0, 0.008, 0.02)), Pick(max_lpips=0.01)).trial.number == 0, "its value keeps the limit"
    worse = unsure((50.0, 0.006, 0.008), (55.0, 0.007, 0.009), (60.0, 0.004, 0.006))
    assert numbers(ranked(worse, Pick(max_lpips=0.01))) == [0, 2, 1], "who is slower and no closer hardly keeps more"
    assert numbers(ranked(found, Pick(max_latency_ms=60.0))) == [1, 2, 3, 4]


def test_one_objective_ranks_by_its_value_within_the_limits() -> None:
    limits = (Limit("lpips", 0.01),)
    found = unsure((60.0, 0.004, 0.006), (50.0, 0.006, 0.008), (40.0, 0.008, 0.02), objectives=("latency_ms",), limits=limits)
    assert numbers(found.best) == [2] and numbers(ranked(found)) == [1, 0, 2]
    free = unsure((60.0, 0.004, 0.006), (50.0, 0.002, 0.008), (40.0, 0.008, 0.02), objectives=("lpips",))
    assert numbers(ranked(free)) == [1, 0, 2]
    seen = unsure((90.0, 2e-5, 2e-5), (50.0, 5e-5, 5e-5), (40.0, 0.008, 0.02), objectives=("lpips",))
    assert pick(seen).trial.number == 1, "closeness that nobody sees is not paid for"


FLOORED = ((100.0, 0.0, 0.0), (80.0, 0.001, 0.002), (60.0, 0.002, 0.003), (50.0, 0.0035, 0.006), (20.0, 0.01, 0.02))


def test_without_a_limit_it_is_the_fastest_surely_within_the_floor() -> None:
    found = unsure(*FLOORED, floor=floor_at(0.004))
    assert pick(found).trial.number == pick(found, Pick.parse("floor")).trial.number == 2
    assert numbers(ranked(found))[:3] == [2, 1, 3], "then slower and closer ones, then those whose end is beyond"
    assert pick(found, Pick.parse("knee")).trial.number == 3
    unknown = replace(found, floor=None)
    assert pick(unknown) == pick(unknown, Pick.parse("knee"))
    tight = replace(found, floor=floor_at(0.0005))
    assert pick(tight) == pick(tight, Pick(knee=True)), "the reference itself is no policy that is as close"


def test_the_reference_is_not_faster_than_itself_by_noise() -> None:
    found = unsure((90.0, 0.0, 0.0), (60.0, 0.002, 0.003), (20.0, 0.04, 0.05), floor=floor_at(0.005))
    full = replace(found.points[0], trial=replace(found.points[0].trial, family="known: full"))
    by_kernels = replace(found, points=(full, *found.points[1:]))
    assert numbers(within_floor(by_kernels, Pick(), by_kernels.points)) == [1]
    launched = replace(full, trial=replace(full.trial, capture="cuda_graphs"))
    by_graphs = replace(found, points=(launched, *found.points[1:]))
    assert set(numbers(within_floor(by_graphs, Pick(), by_graphs.points))) == {0, 1}, "another launch may be faster"


def test_the_knee_counts_what_is_within_the_floor_as_equal() -> None:
    found = unsure((90.0, 2e-4, 2e-4), (40.0, 2e-3, 2e-3), (35.0, 3e-3, 3e-3), (15.0, 0.03, 0.03), (12.0, 0.05, 0.05))
    assert pick(found, Pick(knee=True)).trial.number == 1
    assert pick(replace(found, floor=floor_at(0.02)), Pick(knee=True)).trial.number == 2
    assert knee(found.points[:3]).trial.number == 1
    assert knee(found.points[:3], least=0.01).trial.number == 2, "all are as close as the floor: the fastest"


def test_of_two_points_the_knee_is_the_faster_one_whoever_was_first() -> None:
    found = shown((20.0, 0.01), (10.0, 0.1))
    assert knee(found.points).trial.number == knee(found.points, among={0, 1}).trial.number == 1
    assert knee(found.points, among={0}).trial.number == 0


def test_a_front_far_from_the_reference_counts_up_to_its_own_limit() -> None:
    found = unsure((50.0, 0.15, 0.2), limits=(Limit("lpips", 0.3),))
    assert found.volume(found.points) == pytest.approx(0.5 * log10(2))
    assert replace(found, floor=floor_at(0.2)).volume(found.points) == pytest.approx(0.5 * log10(1.5))


def test_a_limit_keeps_all_digits_of_its_bound() -> None:
    for text in ("peak_mib <= 1048576", "lpips <= 0.05", "cache_mib <= 1e+06", "lpips <= 0.0123456789", "psnr >= 30"):
        assert str(Limit.parse(text)) == text
