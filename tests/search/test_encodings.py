"""Every keyframe encoding: total, and inverted where it can write a set."""

import random

import pytest

from frdiff_tune.search.encodings import ENCODINGS, Bounds, Keyframes, Uniform

BOUNDS = Bounds(interval=(1, 10), count=(4, 30), longest=50)


@pytest.mark.parametrize("name", ENCODINGS)
def test_any_numbers_within_bounds_are_a_keyframe_set_that_encodes_back(name: str) -> None:
    encoding = ENCODINGS[name](BOUNDS)
    rng = random.Random(name)
    for _ in range(300):
        T = rng.randint(1, 50)
        skew = rng.choice((1, 3, 12))
        params = {
            key: min(round(numbers.low + (numbers.high - numbers.low) * rng.random() ** skew), numbers.high)
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
