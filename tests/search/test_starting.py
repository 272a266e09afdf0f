"""Starting points: all kinds among the first, none twice, none outside the space."""

from typing import Any

import pytest

from frdiff_tune.search import Space, load_space, starting_points
from frdiff_tune.search.starting import ramp
from tests.pipelines import ROWS
from tests.tiny import tiny_dit, tiny_pixart, tiny_sd, tiny_sdxl

PIPES: dict[str, Any] = {
    "stable-diffusion": tiny_sd,
    "sdxl": tiny_sdxl,
    "dit": tiny_dit,
    "pixart": tiny_pixart,
    "transformer": lambda _: ROWS["SD 3"].make(),
    "flux": lambda _: ROWS["FLUX text to image"].make(),
}
FAMILIES = {"starting: dense-ends", "known: full", "known: fewer steps", "known: FRDiff", "known: jump"}
FAMILIES |= {"starting: whole blocks"}


def test_ramp_by_hand() -> None:
    assert ramp(50, 5, 1e9) == (0, 1, 2, 18, 34)  # 1, 1, then three gaps of 16
    assert ramp(12, 6, 2.0) == (0, 1, 2, 4, 7, 9)  # 1, 1, 2, then three gaps of 8/3
    assert ramp(6, 6, 2.0) == (0, 1, 2, 3, 4, 5)
    assert ramp(50, 4, 1.5) == (0, 1, 2, 4)  # too few to reach a plateau
    assert ramp(15, 9, 2.0, (2, 1)) == (0, 1, 2, 4, 6, 8, 10, 12, 14)  # gaps 1, 1, 2 and four of 2 fill 12; then 2 and 1


@pytest.mark.parametrize("name", PIPES)
def test_all_kinds_are_among_the_first_and_none_repeats(name: str) -> None:
    space = Space(load_space(name), PIPES[name]("v_prediction"), 50)
    points = starting_points(space, 80)
    assert len(points) == 36  # 45 % of 80
    assert {point.family for point in points[:10]} == FAMILIES
    policies = [space.decode(point.params) for point in points]
    assert len({policy.digest for policy in policies}) == 36
    for point, policy in zip(points, policies, strict=True):
        assert space.holds(point.params)
        again = space.encode(policy)
        assert again is not None
        assert space.decode(again).digest == policy.digest
        if point.family == "starting: whole blocks":
            assert policy.nfe == 50 and set(policy.masks.values()) == {policy.keyframes}
            named = {name for name in ("deep", "shallow", "block") if name in space.groups}
            assert set(policy.masks) == named
        if point.family == "starting: dense-ends":
            assert policy.variable == space.file.forecast.variable[0]
            assert policy.nfe == policy.keyframes.count("1") < 50
            assert policy.keyframes.startswith("111")
            assert policy.keyframes[:25].count("1") >= policy.keyframes[25:].count("1")
            gaps = [len(gap) for gap in policy.keyframes.replace("1", " 1").split()]
            widest = max(gaps)
            rise, rest = gaps[: gaps.index(widest)], gaps[gaps.index(widest) :]
            fall = [gap for gap in rest if gap < widest - 1]  # without the plateau, whose gaps differ by rounding
            assert rise == sorted(rise)
            assert fall == sorted(fall, reverse=True)


def test_their_share_follows_the_trials() -> None:
    space = Space(load_space("dit"), tiny_dit("epsilon"), 50)
    assert [len(starting_points(space, trials)) for trials in (1, 10, 40, 1000, None)] == [0, 4, 18, 40, 40]


def test_what_a_space_does_not_hold_is_left_out() -> None:
    file = load_space("dit")
    steps = file.steps.model_copy(update={"num_inference_steps": (15, 50), "spacing": ("trailing",)})
    keyframes = file.keyframes.model_copy(update={"encodings": ("keyframes",), "count": (10, 30)})
    space = Space(file.model_copy(update={"steps": steps, "keyframes": keyframes}), tiny_dit("epsilon"), 50)
    points = starting_points(space)
    families = {"known: full", "known: fewer steps", "starting: dense-ends", "starting: whole blocks"}
    assert {point.family for point in points} == families
    assert all(point.params["num_inference_steps"] >= 15 for point in points)
    for point in points:
        if point.family.startswith("starting"):
            assert 10 <= space.decode(point.params).keyframes.count("1") <= 30
