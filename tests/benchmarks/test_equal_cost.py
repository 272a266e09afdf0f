"""Schedules at equal network cost: which fit, what they cost, which is chosen; figures worked by hand."""

from pathlib import Path
from typing import Any

import pytest

from benchmarks.equal_cost import best_shape, group_sets, mark, winners
from benchmarks.equal_cost_table import figure, table
from benchmarks.keyframe_sets import even, keyframe_sets, most_keyframes
from benchmarks.kinds import Features, FewerSteps, FRDiff, Jumps, network_cost
from frdiff_tune.runtime import keyframe_policy


@pytest.mark.parametrize(
    ("T", "reuse", "cost", "n"),
    [
        (50, 0.0, 0.2, 10),  # jumps: ten calls of fifty
        (50, 0.0, 0.34, 17),
        (50, 0.1, 0.28, 10),  # 10 + 40 * .1 = 14 = .28 * 50
        (50, 0.1, 0.279, 9),  # 13.95: ten keyframes cost 14
        (10, 0.5, 0.5, 0),  # the first step alone makes 5.5 of it
        (10, 0.5, 0.55, 1),
        (10, 0.9, 0.5, 0),
        (10, 1.2, 0.5, 0),  # a group whose reuse saves nothing
    ],
)
def test_the_most_keyframes_that_fit(T: int, reuse: float, cost: float, n: int) -> None:
    assert most_keyframes(T, reuse, cost) == n


def test_shapes_of_one_size() -> None:
    assert even(10, 4) == (0, 2, 5, 8)  # 0, 2.5, 5, 7.5; halves go to the even number
    seven = {"even": (0, 7, 14, 21, 29, 36, 43), "ramp 4": (0, 1, 2, 6, 17, 28, 39)}  # gaps 1, 1, 4 and four of 11
    assert keyframe_sets(50, 7) == seven, "ramps of 1.6 and such with an end do not get through the run with seven"
    dense = (0, 1, 2, 6, 22, 42, 45, 47, 49)  # gaps 1, 1, 4, 16, 20, then 3, 2, 2 and 1
    assert keyframe_sets(50, 9)["ramp 4, dense end"] == dense
    assert keyframe_sets(50, 1) == {}
    for n in range(2, 47):  # with more, the gap of 3 at the end leaves no room
        assert all(len(found) == n for found in keyframe_sets(50, n).values()), n


def test_cost_by_hand(emoji: Any) -> None:
    groups = ["conv", "attention"]
    jumps = keyframe_policy(emoji, 10, [0, 5], 0.0)
    assert network_cost(jumps, 0.5, 10) == pytest.approx(0.2)
    reuse = keyframe_policy(emoji, 10, [0, 5], 1.0, groups=groups)
    assert network_cost(reuse, 0.5, 10) == pytest.approx(0.6)  # 2 + 8 / 2
    mixed = keyframe_policy(emoji, 10, [0, 5], [0.0] * 5 + [0.5] * 5, groups=groups)
    assert network_cost(mixed, 0.5, 10) == pytest.approx(0.4)  # 2 + 4 / 2: four steps before the half are jumps
    assert network_cost(keyframe_policy(emoji, 5, range(5)), 0.5, 10) == pytest.approx(0.5), "half of the steps, all full"


def test_every_kind_stays_within_its_cost(emoji: Any) -> None:
    deep = Features(emoji, 50, ("deep",), 1, 0.35)
    assert deep.least() == pytest.approx(0.376)  # (2 + 48 * .35) / 50
    assert deep.within(0.37) == {}
    found = deep.within(0.5)
    assert set(found) == {"even", "ramp 1.6", "ramp 1.6, dense end", "ramp 4", "ramp 4, dense end"}
    for policy in found.values():
        assert policy.keyframes.count("1") == 11  # 11 + 39 * .35 = 24.65; twelve cost 25.3
        assert deep.cost(policy) == pytest.approx(0.493)
        assert set(policy.forecast) == {"deep"}
    jumps = Jumps(emoji, 50, 0)
    assert {policy.nfe for policy in jumps.within(0.34).values()} == {17}
    fewer = FewerSteps(emoji, 50, "DDIMScheduler").within(0.5)
    assert {shape: policy.T for shape, policy in fewer.items()} == {"trailing": 25, "leading": 25, "linspace": 25}


def test_frdiff_takes_the_interval_that_costs_most_within_the_cost(emoji: Any) -> None:
    pure = FRDiff(emoji, 50, "pure reuse", 0.5)
    assert set(pure.within(0.6)) == {"every 5"}  # 10 + 40 / 2 = 30; every 4: 13 + 37 / 2 = 31.5
    assert pure.within(0.5) == {}
    assert pure.least() == pytest.approx(0.52)  # every 25: 2 + 48 / 2
    mixing = FRDiff(emoji, 50, "score mixing", 0.5)
    assert set(mixing.within(0.5)) == {"every 4"}  # lam is 0 up to t = 21: 13 + 21 / 2 = 23.5; every 3: 17 + 19 / 2 = 26.5


def test_nested_groups_are_not_given_back_together(emoji: Any, emoji_dit: Any) -> None:
    assert [names for names in group_sets(emoji) if len(names) > 1] == [("conv", "attention"), ("shallow", "deep")]
    assert [names for names in group_sets(emoji_dit) if len(names) > 1] == [("attention", "feed_forward")]


def test_the_shape_is_chosen_by_the_mean() -> None:
    assert best_shape({"even": (0.1, 0.1), "ramp": (0.0, 0.15), "flips": (0.0, 0.3)}) == "ramp"
    assert best_shape({"first": (0.1, 0.1), "second": (0.2, 0.0)}) == "first"


def row(family: str, group: str, order: int | None, lpips: list[float], target: float = 0.2) -> dict[str, Any]:
    mean = sum(lpips) / len(lpips)
    figures = {"lpips_mean": {"value": mean, "low": mean / 2, "high": mean * 2}, "lpips_median": mean, "lpips": lpips}
    return {"family": family, "group": group, "order": order, "target": target, **figures}


def rows() -> list[dict[str, Any]]:
    found = [
        row("fewer steps", "DDIMScheduler", None, [0.01, 0.02] * 8),
        row("jumps", "score", 0, [0.005, 0.006] * 8),
        row("jumps", "score", 1, [0.05, 0.06] * 8),
        row(
            "features", "deep", 0, [0.0, 0.0] * 7 + [0.03, 0.03]
        ),  # two flips: mean .00375, but .0075 where they are drawn twice
        row("features", "deep", 1, [0.001, 0.002] * 8),
        {"family": "features", "group": "conv", "order": 0, "target": 0.2, "least": 0.81},
    ]
    mark(found)
    return found


def test_what_is_closer() -> None:
    fewer, jumps = ([r.get(f"closer_than_{of}") for r in rows()] for of in ("fewer_steps", "jumps"))
    assert [note and note["surely"] for note in fewer] == [False, True, False, True, True, None]
    assert [note and note["pictures"] for note in fewer] == [0, 16, 0, 14, 16, None]
    assert [note and note["surely"] for note in jumps] == [False, False, False, False, True, None]
    assert [note and note["pictures"] for note in jumps] == [0, 0, 0, 14, 16, None]


def test_winners_are_the_closest_of_each_family_and_group() -> None:
    assert [(r["family"], r["order"]) for r in winners(rows())] == [("features", 1), ("jumps", 0), ("fewer steps", None)]


def test_table_and_figure_hold_every_kind(tmp_path: Path) -> None:
    result = {"study": "a", "pictures": 16, "rows": [*rows(), *({**r, "target": 0.5} for r in rows())]}
    lines = table(result).splitlines()
    cell = "0.01500 (0.00750 to 0.03000; 0.01500) 0/16"
    assert f"| fewer steps: DDIM |  | {cell} | {cell} |" in lines
    assert any(line.startswith("| features: deep | 1 | **0.00150**") and line.endswith("*f* *j* 16/16 |") for line in lines)
    assert lines[-1] == "Out of reach at every cost (least cost): conv 0.81."
    figure(result, tmp_path / "a.png")
    assert (tmp_path / "a.png").stat().st_size > 0
