"""Fronts compared: figures worked by hand."""

import json
from collections.abc import Sequence
from math import log
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.bench import Row
from benchmarks.comparison import Resampling, fastest_at, is_known, is_ours, latency_at, surely_worse
from benchmarks.front import figures, near_best, recalled
from benchmarks.front_table import _claims
from frdiff_tune.policy import Policy
from frdiff_tune.runtime import frdiff_policy
from tests.tiny import tiny_sd

STEPS = [(0.04, 0.2), (0.01, 0.4), (0.0025, 0.8)]  # (LPIPS, latency) at 10, 20, 40 steps


def row(family: str, steps: int, lpips: tuple[float, ...], group: str = "") -> Row:
    return Row(f"{family} {steps}", family, group, steps, steps, lpips, (1.0,))


def test_latency_between_step_counts_is_read_off_the_log_scale() -> None:
    assert latency_at(STEPS, 0.02) == pytest.approx(0.3)  # halfway from .04 to .01 in log LPIPS
    assert latency_at(STEPS, 0.01) == pytest.approx(0.4)
    assert latency_at(STEPS, 0.05) == 0.2, "the fewest steps do"
    assert latency_at(STEPS, 0.001) is None, "no count gets there"
    assert latency_at([], 0.01) is None


def test_no_line_is_drawn_between_policies() -> None:
    assert fastest_at(STEPS, 0.02) == 0.4
    assert fastest_at([(0.01, 0.4), (0.002, 0.3)], 0.02) == 0.3
    assert fastest_at(STEPS, 0.001) is None


def test_the_gain_is_over_the_best_solver_at_that_level() -> None:
    pictures = 20
    counts = zip((10, 20, 40), STEPS, strict=True)
    fewer = [row("fewer steps", steps, (lpips,) * pictures, "slow") for steps, (lpips, _) in counts]
    other = [row("fewer steps", 12, (0.02,) * pictures, "fast"), row("fewer steps", 30, (0.005,) * pictures, "fast")]
    ours = [row("found", 9, (0.009,) * pictures), row("starting", 5, (0.03,) * pictures)]
    drawn = Resampling([*fewer, *other, *ours], [0.2, 0.4, 0.8, 0.24, 0.6, 0.21, 0.1])
    gain = drawn.gain_at(0.01)
    assert gain.value == pytest.approx(0.4 / 0.21)  # slow: .4; fast: halfway from .24 to .6
    assert gain.low == pytest.approx(gain.value)
    assert gain.high == pytest.approx(gain.value)
    assert drawn.gain_at(0.0200001).value == pytest.approx(0.24 / 0.21)
    slow = 0.2 + 0.2 * log(0.04 / 0.031) / log(4)
    assert drawn.gain_at(0.031).value == pytest.approx(slow / 0.1)
    assert drawn.gain_at(0.001).value is None
    added = drawn.volume_gain(lambda row: True, is_known).value  # what ours adds to the known policies' front
    assert added is not None
    assert added > 0
    ours_ahead, theirs_ahead = drawn.volume_gain(is_ours, is_known), drawn.volume_gain(is_known, is_ours)
    assert theirs_ahead.value is not None
    assert ours_ahead.value == pytest.approx(-theirs_ahead.value)


def test_medians_do_not_see_the_pictures_that_flip() -> None:
    flips = (0.0005,) * 15 + (0.5,) * 5
    rows = [row("fewer steps", 40, (0.0005,) * 20, "solver"), row("found", 9, flips)]
    assert Resampling(rows, [0.8, 0.2]).gain_at(0.001).value is None
    gain = Resampling(rows, [0.8, 0.2], np.median).gain_at(0.001)
    assert gain.value == pytest.approx(4.0)
    both = figures(rows, [0.8, 0.2])
    assert both["gain_at_median_lpips_0.001"]["value"] == pytest.approx(4.0)
    claims = _claims(both, {"fewer steps", "found"})
    assert any("At a median LPIPS of 0.001 our fastest policy is **4.00 times** faster" in claim for claim in claims)
    told = [_claims(both, {"found", *own}) for own in ((), ("starting",))]
    beside = [any("minus our starting points" in claim for claim in claims) for claims in told]
    assert beside == [False, True], "nothing is compared with starting points that were not measured"


def test_a_gain_has_the_interval_of_other_pictures() -> None:
    flips = (0.0001,) * 15 + (0.06,) * 5  # mean .0151; of 20 drawn pictures some have two flips, some nine
    drawn = Resampling(
        [row("fewer steps", 10, flips, "a"), row("fewer steps", 20, (0.002,) * 20, "a"), row("found", 5, (0.003,) * 20)],
        [0.2, 0.4, 0.1],
    )
    gain = drawn.gain_at(0.01)
    assert gain.value is not None
    assert gain.low is not None
    assert gain.high is not None
    assert 2.0 <= gain.low < gain.value < gain.high <= 4.0


def test_worse_is_sure_only_beyond_what_few_flips_explain() -> None:
    quiet = [0.001 + 0.0001 * (i % 3) for i in range(32)]
    assert surely_worse([value + 0.0005 for value in quiet], quiet), "a little, but on every picture"
    assert not surely_worse([*quiet[:-1], 0.2], quiet), "one flip of 32 pictures"
    assert not surely_worse(quiet, quiet)


def test_screening_keeps_all_but_what_is_surely_worse_and_one_of_twins() -> None:
    pictures = [0.001 + 0.0001 * (i % 3) for i in range(32)]
    found = {
        "DDIM/trailing": tuple(pictures),
        "DDIM/linspace": tuple(value * 1.03 for value in pictures),  # within 5 % of the other spacing
        "Euler/trailing": tuple(value * 1.0005 for value in pictures),  # the same solver under another name
        "DPM/trailing": tuple(value * 1.04 for value in pictures),
        "DDIM/leading": tuple(value * 2 for value in pictures),
        "UniPC/trailing": (*pictures[:-1], 0.2),
    }
    assert near_best(found, twins=True) == [name for name in found if name != "DDIM/leading"]
    assert near_best(found, twins=False) == ["DDIM/trailing", "DPM/trailing", "UniPC/trailing"]


def test_an_earlier_result_of_other_pictures_is_not_recalled(tmp_path: Path) -> None:
    pipe = tiny_sd("epsilon")
    policy = frdiff_policy(pipe, 4, 2, score_mixing=True)
    drawn = (0.2, 0.3)

    class Bench:
        cases, steps, kept = (1, 2), 4, list[object]()
        pipe: Any

        def distances(self, policy: Policy, parts: int) -> tuple[float, ...]:
            assert parts == 1
            return drawn

        def recall(self, policy: Policy, lpips: Sequence[float]) -> None:
            self.kept.append(lpips)

    bench: Any = Bench()
    bench.pipe = pipe
    name = {"name": "every 2, with score mixing", "family": "FRDiff", "group": "", "steps": 4}
    file = tmp_path / "front-own.json"
    file.write_text(json.dumps({"rows": [{**name, "lpips": [0.2005, 0.3]}]}))
    assert [named[3].digest for named in recalled(bench, file, {})] == [policy.digest] and bench.kept == [[0.2005, 0.3]]
    file.write_text(json.dumps({"rows": [{**name, "lpips": [0.2, 0.4]}]}))
    with pytest.raises(AssertionError, match="is of other pictures: use --screen"):
        list(recalled(bench, file, {}))
    file.write_text(json.dumps({"rows": [{**name, "lpips": [0.2]}]}))
    assert list(recalled(bench, file, {})) == [], "it drew another number of pictures"
