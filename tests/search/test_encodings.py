"""Every keyframe encoding: total, and inverted where it can write a set."""

import random

import pytest

from frdiff_tune.search.encodings import ENCODINGS, Bounds, Keyframes, Phases, Power, Uniform

BOUNDS = Bounds(interval=(1, 10), count=(4, 30), longest=50)


@pytest.mark.parametrize("name", ENCODINGS)
def test_any_numbers_within_bounds_are_a_keyframe_set_that_encodes_back(name: str) -> None:
    encoding = ENCODINGS[name](BOUNDS)
    rng = random.Random(name)
    for _ in range(2000):
        T = rng.randint(1, 50)
        skew = rng.choice((1, 3, 12))
        params = {
            key: numbers.low + round((numbers.high - numbers.low) / numbers.step * rng.random() ** skew) * numbers.step
            for key, numbers in encoding.parameters.items()
        }
        keyframes = encoding.decode(params, T)
        assert keyframes[0] == 0
        assert list(keyframes) == sorted(set(keyframes))
        assert keyframes[-1] < T
        again = encoding.encode(keyframes, T)
        assert all(numbers.low <= again[key] <= numbers.high for key, numbers in encoding.parameters.items())
        assert encoding.decode(again, T) == keyframes


def test_gaps_write_every_set_whose_size_is_in_bounds() -> None:
    encoding = Keyframes(BOUNDS)
    rng = random.Random(0)
    for _ in range(300):
        T = rng.randint(4, 50)
        size = rng.randint(4, min(30, T))
        keyframes = (0, *sorted(rng.sample(range(1, T), size - 1)))
        assert encoding.decode(encoding.encode(keyframes, T), T) == keyframes


def test_gaps_by_hand() -> None:
    encoding = Keyframes(Bounds(interval=(1, 10), count=(3, 5), longest=12))
    assert list(encoding.parameters) == ["gap_01", "gap_02", "gap_03", "gap_04"]
    gaps = {"gap_01": 1, "gap_02": 2, "gap_03": 4, "gap_04": 9}
    assert encoding.decode(gaps, 12) == (0, 1, 3, 7)
    assert encoding.encode((0, 1, 3, 7), 12) == {"gap_01": 1, "gap_02": 2, "gap_03": 4, "gap_04": 5}
    assert encoding.decode(dict.fromkeys(gaps, 12), 12) == (0, 10, 11)  # cut, so that the fewest allowed fit
    assert encoding.decode(dict.fromkeys(gaps, 1), 12) == (0, 1, 2, 3, 4)


def test_uniform_by_hand() -> None:
    encoding = Uniform(BOUNDS)
    assert encoding.decode({"interval": 3}, 8) == (0, 3, 6)
    assert encoding.encode((0, 3, 6), 8) == {"interval": 3}
    assert encoding.encode((0, 1, 2, 7, 9), 10) == {"interval": 2}  # cannot be written: the mean interval


def test_power_by_hand() -> None:
    """Exponent 2: T' (i / n)^2; with two short gaps at the end of 20 steps T' is 17, and 17, 19 follow."""
    encoding = Power(BOUNDS)
    assert encoding.decode({"count": 5, "exponent": 1.0, "last": 0}, 20) == (0, 4, 8, 12, 16)
    assert encoding.decode({"count": 4, "exponent": 2.0, "last": 0}, 16) == (0, 1, 4, 9)
    assert encoding.decode({"count": 6, "exponent": 2.0, "last": 2}, 20) == (0, 1, 4, 10, 17, 19)
    assert encoding.decode({"count": 6, "exponent": 3.0, "last": 0}, 8) == (0, 1, 2, 3, 4, 5)  # each one after the one before
    assert encoding.decode({"count": 30, "exponent": 0.5, "last": 3}, 5) == (0, 1, 2, 3, 4)
    assert encoding.encode((0, 1, 4, 10, 17, 19), 20) == {"count": 6, "exponent": 2.0, "last": 2}


def test_what_power_cannot_write_becomes_something_near() -> None:
    encoding = Power(BOUNDS)
    near = encoding.decode(encoding.encode((0, 1, 2, 14, 18), 20), 20)
    assert len(near) == 5 and sum(abs(a - b) for a, b in zip(near, (0, 1, 2, 14, 18), strict=True)) <= 8


def test_phases_by_hand() -> None:
    """20 steps: every step before 0.2 (step 4), every third before 0.5 (step 10), every fifth after."""
    encoding = Phases(BOUNDS)
    params = {"interval_early": 1, "interval_middle": 3, "interval_late": 5, "border_1": 0.2, "border_2": 0.5}
    assert encoding.decode(params, 20) == (0, 1, 2, 3, 4, 7, 10, 15)
    assert encoding.decode({**params, "border_1": 0.5, "border_2": 0.2}, 20) == (0, 1, 2, 3, 4, 7, 10, 15)
    assert encoding.decode({**params, "border_1": 1.0, "border_2": 1.0}, 4) == (0, 1, 2, 3)
    assert encoding.decode(encoding.encode((0, 1, 2, 3, 4, 7, 10, 15), 20), 20) == (0, 1, 2, 3, 4, 7, 10, 15)
    near = encoding.encode((0, 1, 3, 8, 9, 12, 19), 21)  # cannot be written: the mean intervals of the thirds
    assert near == {"interval_early": 2, "interval_middle": 2, "interval_late": 7, "border_1": 0.35, "border_2": 0.65}
