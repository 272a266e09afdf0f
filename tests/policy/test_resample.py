"""Policies stretched to another walk, by hand."""

import pytest

from frdiff_tune.errors import PolicyError
from frdiff_tune.policy import Policy
from tests.policy.toy import toy_policy


def eight() -> Policy:
    """Keyframes 0, 1, 4, 6 of eight; the score is extrapolated at steps 2, 3, 7 and held at 5."""
    sampling = toy_policy().sampling.model_copy(update={"num_inference_steps": 8, "T": 8})
    weights = ((), (), (2.0, -1.0), (3.0, -2.0), (), (1.0,), (), (1.5, -0.5))
    return toy_policy(
        sampling=sampling, keyframes="11001010", mixing=(1, 1, 0.5, 0.25, 1, 0, 1, 0.75), masks={"a": "11001000"},
        forecast={"score": weights},
    )  # fmt: skip


def test_twice_as_many_steps() -> None:
    found = eight().resample(16)
    assert (found.T, found.sampling.num_inference_steps) == (16, 16)
    assert found.keyframes == "1010000010001000"
    assert found.masks["a"] == "1010000010000000"
    assert found.mixing[4:8] == (0.5, 0.5, 0.25, 0.25)  # places 2, 2.5, 3, 3.5 of the old run; a tie goes to the earlier
    assert found.forecast["score"][6] == (3.0, -2.0)
    assert found.forecast["score"][1] == (1.0,), "one keyframe so far: nothing to extrapolate from"


def test_a_group_s_weights_are_stretched_like_the_score_s() -> None:
    trend = ((), (), (2.0, -1.0), (3.0, -2.0), (), (), (1.5, -0.5), (2.0, -1.0))
    policy = eight().replace(forecast={"a": trend})
    found = policy.resample(16)
    assert found.masks["a"] == "1010000010000000"
    assert found.forecast["a"][4:8] == ((2.0, -1.0), (2.0, -1.0), (3.0, -2.0), (3.0, -2.0))
    assert found.forecast["a"][1] == (1.0,), "one computing step so far"
    assert policy.resample(8).digest == policy.digest


def test_half_as_many_steps_keeps_what_can_be_kept() -> None:
    found = eight().resample(4)
    assert found.keyframes == "1011"  # 0, .5, 2, 3: the first two fall together
    assert found.masks.get("a", found.keyframes)[0] == "1"
    assert found.T == 4


def test_another_strength_of_the_same_step_count() -> None:
    found = eight().resample(8, 4)
    assert (found.sampling.num_inference_steps, found.T) == (8, 4)
    assert found.keyframes == eight().resample(4).keyframes


def test_the_same_walk_is_the_same_policy() -> None:
    assert eight().resample(8).digest == eight().digest
    assert eight().resample(8, 8).digest == eight().digest


def test_nothing_is_claimed_of_the_result() -> None:
    found = eight().resample(20)
    assert (found.measured, found.machine) == (None, None)
    assert found.provenance is not None
    assert found.provenance.parameters == {"resampled_from": eight().digest}


@pytest.mark.parametrize(
    ("steps", "T", "message"), [(0, None, "`steps` must be"), (True, None, "`steps`"), (5, 0, "`T` must be")]
)
def test_bad_numbers(steps: int, T: int | None, message: str) -> None:
    with pytest.raises(PolicyError, match=message):
        eight().resample(steps, T)


def test_listed_timesteps_are_not_stretched() -> None:
    sampling = eight().sampling.model_copy(update={"timesteps": tuple(float(7 - t) for t in range(8))})
    with pytest.raises(PolicyError, match="`sampling.timesteps` must be null"):
        eight().replace(sampling=sampling).resample(4)
