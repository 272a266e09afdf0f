"""Racing: who is stopped, on values worked by hand."""

import numpy as np

from frdiff_tune.measure import Interval, Measurement
from frdiff_tune.search.racing import Member, Race

CASES = tuple(f"case {i}" for i in range(8))


def measured(values: tuple[float, ...], first: int = 0) -> Measurement:
    return Measurement(CASES[first : first + len(values)], {"lpips": values}, (), (), (), 0, 5)


def member(values: tuple[float, ...], ms: float = 100.0) -> Member:
    return Member(3, Interval(ms, ms - 1, ms + 1), [measured(values)])


LATER = Interval(120.0, 110.0, 130.0)
BETTER = (0.01, 0.02, 0.01, 0.03, 0.001, 0.02, 0.01, 0.5)
WORSE = tuple(2 * value for value in BETTER)


def test_one_that_is_slower_and_worse_on_every_case_is_stopped() -> None:
    """Eight pairs that agree: p = 1 / 256."""
    rival = member(BETTER)
    assert Race(0.05).beaten_by([measured(WORSE)], LATER, [rival], blocks=2) is rival
    assert Race(0.004).beaten_by([measured(WORSE)], LATER, [rival], blocks=2) is rival
    assert Race(0.0039).beaten_by([measured(WORSE)], LATER, [rival], blocks=2) is None


def test_one_that_may_be_faster_or_is_not_surely_worse_goes_on() -> None:
    assert Race(0.05).beaten_by([measured(WORSE)], Interval(105.0, 95.0, 115.0), [member(BETTER)], blocks=2) is None
    flipped = (*BETTER[:7], 40 * BETTER[7])  # its mean is far above, but by one picture
    assert Race(0.05).beaten_by([measured(flipped)], LATER, [member(BETTER)], blocks=2) is None
    assert Race(0.05).beaten_by([measured(BETTER)], LATER, [member(WORSE)], blocks=2) is None


def test_the_level_is_shared_among_members_and_blocks() -> None:
    """1 / 256 is above .05 / (7 x 2), and below .05 / (6 x 2)."""
    rivals = [member(BETTER) for _ in range(7)]
    assert Race(0.05).beaten_by([measured(WORSE)], LATER, rivals, blocks=3) is None
    assert Race(0.05).beaten_by([measured(WORSE)], LATER, rivals[:6], blocks=3) is rivals[0]


def test_only_cases_that_both_have_drawn_are_compared_and_noise_does_not_count() -> None:
    halves = [measured(WORSE[:4]), measured(WORSE[4:], first=4)]
    assert Race(0.05).beaten_by(halves[:1], LATER, [member(BETTER)], blocks=2) is None  # four pairs cannot reject
    assert Race(0.05).beaten_by(halves, LATER, [member(BETTER)], blocks=2) is not None
    tiny = tuple(value * 1e-6 for value in WORSE)
    assert Race(0.05).beaten_by([measured(tiny)], LATER, [member((0.0,) * 8)], blocks=2) is None


def test_nothing_is_stopped_without_a_level_or_with_a_single_block() -> None:
    assert Race(0.0).beaten_by([measured(WORSE)], LATER, [member(BETTER)], blocks=2) is None
    assert Race(0.05).beaten_by([measured(WORSE)], LATER, [member(BETTER)], blocks=1) is None


def test_the_chance_to_stop_an_equal_one_is_at_most_the_level() -> None:
    """Two hundred candidates that are as good as the member, six blocks of which each may stop them."""
    rng = np.random.default_rng(0)
    cases = tuple(f"case {i}" for i in range(48))
    stopped = 0
    for _ in range(200):
        ours, theirs = (np.exp(rng.normal(size=48) - 5) for _ in range(2))
        rival = Member(0, Interval(1, 1, 1), [Measurement(cases, {"lpips": tuple(theirs)}, (), (), (), 0, 5)])
        parts = [Measurement(cases[i : i + 8], {"lpips": tuple(ours[i : i + 8])}, (), (), (), 0, 5) for i in range(0, 48, 8)]
        stopped += any(Race(0.05).beaten_by(parts[:b], LATER, [rival], blocks=6) for b in range(1, 6))
    assert stopped / 200 <= 0.05
