"""What was found, in words."""

from dataclasses import replace
from pathlib import Path

import pytest

from frdiff_tune.report.points import REFERENCE, SEARCHED, Point
from frdiff_tune.report.summary import apply_lines, digits, floor_sentence, found, front_json, front_table, thinned
from tests.search.recorded import floor_at

POINTS = (
    Point(0, REFERENCE, "full", 1000.0, 0.0, 50, on_front=True),
    Point(1, "known: fewer steps, DDIM", "20 steps", 450.0, 0.004, 20),
    Point(2, SEARCHED, "13 keyframes", 300.0, 0.005, 13, on_front=True),
    Point(3, "known: jump", "every 5", 200.0, 0.03, 10, on_front=True),
)


def test_gain_is_over_what_known_policies_take_at_the_same_quality() -> None:
    counted, gain = found(POINTS, 1000.0)
    assert counted == "4 policies measured; 3 are on the front, 1 of them no known policy."
    assert "trial 2 takes 300 ms at LPIPS 0.005, 3.33x faster than the reference" in gain
    # log(.005 / .004) / log(.03 / .004) = .1107 of the way from 450 to 200 ms
    assert gain.endswith("read off between trial 1 (fewer steps, DDIM) and trial 3 (jump), take 422 ms: 1.41x.")
    (_, alone) = found(POINTS[:3], 1000.0)
    assert alone.endswith("the fastest known policy that comes as close, trial 1 (fewer steps, DDIM), takes 450 ms: 1.50x.")


def test_a_known_policy_that_misses_by_a_hair_counts() -> None:
    near = Point(4, "known: fewer steps, DDIM", "14 steps", 295.0, 0.00501, 14, on_front=True)
    (_, said) = found((*POINTS, near), 1000.0)
    assert said == "Nothing beats the known policies yet; more trials may."


def test_what_is_below_the_floor_is_equally_close() -> None:
    """Four times the steps change the pictures by 0.006: at 0.005 nothing is closer than at 0.006."""
    rough = Point(4, "known: fewer steps, DDIM", "14 steps", 310.0, 0.006, 14)
    assert "1.24x" in list(found((*POINTS, rough), 1000.0))[1]
    assert "takes 310 ms: 1.03x" in list(found((*POINTS[:3], rough), 1000.0, least=0.006))[1]


def test_a_study_that_allows_more_has_a_verdict() -> None:
    coarse = (replace(POINTS[2], lpips=0.2), replace(POINTS[1], lpips=0.15))
    assert "Nothing beats the known policies" in list(found((POINTS[0], *coarse), 1000.0))[1]
    assert list(found((POINTS[0], *coarse), 1000.0, flip=0.3))[1].endswith("takes 450 ms: 1.50x.")


def test_the_floor_is_said_in_a_sentence() -> None:
    floor = floor_at(0.004)
    said = floor_sentence(floor, "")
    assert said == (
        "Floor: four times the reference's steps change its pictures by LPIPS 0.004 (95 %: 0.0032 to 0.0048) on 16 search "
        "cases; to be closer is not worth time."
    )
    assert floor_sentence(floor, "", flip=0.003).endswith("; the study asks for less than that.")
    assert floor_sentence(None, "it is old") == "No floor: it is old. An LPIPS below 0.0001 counts as 0.0001 in a choice."
    assert front_json(POINTS, 1000.0)["floor"] is None
    assert front_json(POINTS, 1000.0, floor=floor)["floor"]["value"] == 0.004


def test_search_that_beats_nothing_says_so() -> None:
    slow = Point(4, SEARCHED, "", 500.0, 0.03, 30)
    assert "Nothing beats the known policies" in list(found((*POINTS[:2], POINTS[3], slow), 1000.0))[1]


def test_where_no_known_policy_comes_as_close_that_is_said() -> None:
    finer = Point(4, SEARCHED, "", 500.0, 0.0001, 25, on_front=True)
    (_, said) = found((*POINTS[:2], POINTS[3], finer), 1000.0)
    gain = "LPIPS 0.0001 in 500 ms, 2.00x faster than the reference."
    assert said == f"No known policy that was measured comes as close as trial 4: {gain}"
    slower = Point(4, SEARCHED, "", 1100.0, 0.0001, 25, on_front=True)
    assert "Nothing beats the known policies" in list(found((*POINTS[:2], POINTS[3], slower), 1000.0))[1]


def test_table_lists_the_front_from_fast_to_fine() -> None:
    table = front_table(POINTS, 1000.0)
    assert list(table.columns[0].cells) == ["3", "2", "0"]
    assert list(table.columns[2].cells) == ["5.00x", "3.33x", "1.00x"]


def test_further_objectives_have_columns_and_keys() -> None:
    points = [Point(0, SEARCHED, "", 100.0, 0.01, 10, on_front=True, figures={"energy_j": 1234.5, "images_per_s": 2.345})]
    headings = [column.header for column in front_table(points, 1000.0).columns]
    assert headings[:6] == ["trial", "latency ms", "speed-up", "LPIPS", "energy_j", "images_per_s"]
    assert [list(column.cells) for column in front_table(points, 1000.0).columns[4:6]] == [["1,234"], ["2.35"]]
    assert front_json(points, 1000.0)["front"][0]["energy_j"] == 1234.5


def test_thinned_keeps_both_ends() -> None:
    points = [Point(i, SEARCHED, "", 100.0 + i, 0.01, 10, on_front=True) for i in range(30)]
    kept = [point.number for point in thinned(points, 4)]
    assert kept == [0, 10, 19, 29]


@pytest.mark.parametrize(
    ("lpips", "text"), [(0.0, "0"), (1e-9, "0"), (0.00362, "0.0036"), (0.5, "0.5"), (1.2e-5, "0.00001"), (0.0251, "0.025")]
)
def test_digits_that_mean_something(lpips: float, text: str) -> None:
    assert digits(lpips) == text


def test_apply_lines_are_python() -> None:
    lines = apply_lines(Path("runs") / "demo" / "policy.json", "'a fox'")
    assert len(lines) == 3 and "runs/demo/policy.json" in lines[1]
    compile("\n".join(lines), "lines", "exec")


def test_json_names_units() -> None:
    front = front_json(POINTS, 1000.0)
    assert front["reference_latency_ms"] == 1000.0
    assert [row["trial"] for row in front["front"]] == [3, 2, 0]
    assert front["front"][1]["speedup"] == pytest.approx(1000 / 300)
