"""Points and the place of an LPIPS of 0 on a log axis."""

from dataclasses import replace

import pytest

from frdiff_tune.report.points import REFERENCE, SEARCHED, Point, families, floor_of, points_so_far, true_family
from tests.report.toy import toy_policy
from tests.search.test_choice import outcome


def point(number: int, family: str, lpips: float = 0.01) -> Point:
    return Point(number, family, "", latency_ms=100.0, lpips=lpips, nfe=10)


@pytest.mark.parametrize(
    ("values", "floor"),
    [((0.02, 0.3), 0.01), ((0.0, 0.02), 0.01), ((0.0101, 0.3), 1e-3), ((0.0, 1e-9, 3e-5), 1e-5), ((0.0,), 1e-4)],
)
def test_floor_lies_below_every_lpips_that_shows(values: tuple[float, ...], floor: float) -> None:
    assert floor_of([point(i, SEARCHED, lpips) for i, lpips in enumerate(values)]) == pytest.approx(floor)


def test_the_front_so_far_is_that_of_the_study_s_objectives() -> None:
    """The slower and farther one stores least, so it is on a front of time and memory."""
    lean = replace(outcome(0, 50.0, 0.01), cache_bytes=0)
    quick = replace(outcome(1, 40.0, 0.005), cache_bytes=2**20)
    assert [p.on_front for p in points_so_far([lean, quick])] == [False, True]
    assert [p.on_front for p in points_so_far([lean, quick], ("latency_ms", "cache_mib"))] == [True, True]


def test_families_come_in_the_order_of_their_first_trial() -> None:
    names = ["starting: early", "known: jump", REFERENCE, "known: FRDiff", "known: jump", SEARCHED]
    points = [point(number, name) for number, name in enumerate(names)]
    assert families(points) == ("known: jump", "known: FRDiff", "starting: early")
    assert [p.known for p in points] == [False, True, True, True, True, False]


def test_plain_fewer_steps_are_a_known_policy_whoever_proposed_them() -> None:
    jumps = toy_policy("1100", mixing=(1.0, 1.0, 0.0, 0.0))
    assert true_family(SEARCHED, toy_policy("1111", "UniPCMultistepScheduler")) == "known: fewer steps, UniPC"
    assert (true_family(SEARCHED, jumps), true_family(REFERENCE, toy_policy("11"))) == (SEARCHED, REFERENCE)
