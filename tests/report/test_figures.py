"""Figures: what is drawn where. They were looked at, too."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.patches import Rectangle
from matplotlib.text import Text
from PIL import Image

from frdiff_tune.report.calls_figure import calls_figure
from frdiff_tune.report.front_figure import CHOSEN, FRONT, front_figure, save_figure
from frdiff_tune.report.front_plot import front_plot
from frdiff_tune.report.growth_figure import growth_figure
from frdiff_tune.report.importance_figure import importance_figure, ranked
from frdiff_tune.report.points import REFERENCE, SEARCHED, Point
from frdiff_tune.report.schedule_figure import schedule_figure, schedule_rows
from frdiff_tune.report.side_by_side import Pair, difference_map, side_by_side
from frdiff_tune.search.growth import Grown
from tests.report.toy import toy_policy

POINTS = (
    Point(0, REFERENCE, "", 1000.0, 0.0, 50, on_front=True),
    Point(1, "known: FRDiff", "", 600.0, 0.004, 38),
    Point(2, "known: jump", "", 500.0, 0.003, 25, on_front=True),
    Point(3, SEARCHED, "", 300.0, 0.005, 13, on_front=True),
    Point(4, SEARCHED, "", 400.0, 0.2, 20),
)


def test_front_figure_draws_every_point_and_names_it() -> None:
    figure = front_figure(POINTS, title="toy", reference_ms=1000.0, chosen=3, limits=[0.05])
    axes = figure.axes[0]
    lines = {str(line.get_label()): line for line in axes.lines}
    assert np.asarray(lines["trials of the search (2)"].get_xydata()).tolist() == [[300.0, 0.005], [400.0, 0.2]]
    assert np.asarray(lines["known: FRDiff"].get_xydata()).tolist() == [[600.0, 0.004]]
    assert lines["chosen"].get_markeredgecolor() == CHOSEN
    assert (axes.get_yscale(), axes.get_xlim()[0]) == ("log", 0.0)
    assert "ms" in axes.get_xlabel() and "LPIPS" in axes.get_ylabel()
    texts = [text.get_text() for text in figure.legends[0].get_texts()]
    assert {"reference", "chosen", "front (3 policies), 95 % intervals", "known: jump"} <= set(texts)


def test_a_long_title_stays_within_the_figure() -> None:
    machine = "Intel(R) Xeon(R) Processor @ 2.80GHz (2 cores), float32, batch 1, 128x128 px, torch 2.14.1+cu130, eager"
    figure = front_figure(POINTS, title=f"demo-quick: demo:emoji, reference with 50 steps\n{machine}", reference_ms=1000.0)
    FigureCanvasAgg(figure).draw()
    title = next(text for text in figure.findobj(Text) if isinstance(text, Text) and text.get_text().startswith("demo-quick"))
    assert title.get_window_extent().x1 < figure.bbox.x1


def test_the_label_of_a_limit_stays_within_the_axes() -> None:
    points = (*POINTS[:3], replace(POINTS[3], lpips=1.1e-5), replace(POINTS[4], lpips=0.04))
    figure = front_figure(points, title="toy\nof two lines", reference_ms=1000.0, limits=[0.05])
    FigureCanvasAgg(figure).draw()
    axes = figure.axes[0]
    label = next(text for text in axes.texts if text.get_text() == "limit 0.05")
    assert Text.get_window_extent(label).y1 < axes.get_window_extent().y1


def test_reference_with_lpips_zero_stands_on_the_labelled_floor() -> None:
    axes = front_figure(POINTS, title="toy", reference_ms=1000.0).axes[0]
    floor = axes.get_ylim()[0]
    reference = next(line for line in axes.lines if line.get_label() == "reference")
    assert np.asarray(reference.get_ydata()).tolist() == [floor] and floor > 0
    assert any("LPIPS 0" in text.get_text() for text in axes.texts)


def test_front_is_a_staircase_of_its_points() -> None:
    axes = front_figure(POINTS, title="toy", reference_ms=1000.0).axes[0]
    stairs = next(line for line in axes.lines if line.get_drawstyle() == "steps-post")
    assert np.asarray(stairs.get_xdata()).tolist() == [300.0, 500.0, 1000.0] and stairs.get_color() == FRONT


def test_label_of_the_chosen_leaves_its_mark_free() -> None:
    """Also where the chosen one is nearly as fine as the reference, and so as low as its label."""
    points = (POINTS[0], Point(3, SEARCHED, "", 300.0, 0.0015, 18, on_front=True))
    figure = front_figure(points, title="toy", reference_ms=1000.0, chosen=3)
    FigureCanvasAgg(figure).draw()
    axes = figure.axes[0]
    label = next(text for text in axes.texts if "faster" in text.get_text())
    box = Text.get_window_extent(label)
    x, y = axes.transData.transform((300.0, 0.0015))
    assert box.y0 < y < box.y1 and box.x1 < x - 15, "beside it"
    assert label.get_text() == "trial 3\n3.33× faster\nLPIPS 0.0015"


def test_many_families_have_different_looks() -> None:
    points = [Point(i, f"known: family {i}", "", 100.0 + i, 0.01, 10) for i in range(10)]
    axes = front_figure(points, title="toy", reference_ms=1000.0).axes[0]
    looks = {(line.get_marker(), line.get_color()) for line in axes.lines if str(line.get_label()).startswith("known")}
    assert len(looks) == 10


@pytest.mark.parametrize("ending", ["png", "svg"])
def test_figures_are_written_in_the_format_of_their_ending(tmp_path: Path, ending: str) -> None:
    path = save_figure(front_figure(POINTS, title="toy", reference_ms=1000.0), tmp_path / "new" / f"front.{ending}")
    assert path.read_bytes().startswith({"png": b"\x89PNG", "svg": b"<?xml"}[ending])


def test_side_by_side_states_prompt_seed_time_and_lpips() -> None:
    grey = Image.new("RGB", (32, 32), (128, 128, 128))
    pairs = [Pair(f"a prompt {i}", i, grey, grey, 1000.0 + i, 400.0, 0.0123 * i) for i in range(3)]
    figure = side_by_side(pairs, title="toy", reference="50 steps", candidate="policy")
    captions = [axes.get_xlabel() for axes in figure.axes]
    assert captions[:3] == ["1,000 ms", "1,001 ms", "1,002 ms"]
    assert captions[3:] == ["400 ms · LPIPS 0", "400 ms · LPIPS 0.0123", "400 ms · LPIPS 0.0246"]
    assert [axes.get_title() for axes in figure.axes[:3]] == [f"a prompt {i}\nseed {i}" for i in range(3)]


def test_intervals_of_the_front_are_drawn_along_both_axes() -> None:
    points = (POINTS[0], *(replace(POINTS[i], latency_ends=(290.0, 320.0), lpips_ends=(0.002, 0.02)) for i in (3, 4)))
    axes = front_figure(points, title="toy", reference_ms=1000.0).axes[0]
    drawn = [np.asarray(line.get_xydata()).tolist() for line in axes.lines]
    assert [[290.0, 0.005], [320.0, 0.005]] in drawn and [[300.0, 0.002], [300.0, 0.02]] in drawn
    assert [[290.0, 0.2], [320.0, 0.2]] not in drawn, "those of the front alone"


def test_side_by_side_shows_where_pictures_differ() -> None:
    grey, other = Image.new("RGB", (32, 32), (128, 128, 128)), Image.new("RGB", (32, 32), (128, 128, 128))
    other.paste((128, 128, 26), (0, 0, 32, 8))
    pair = Pair("a prompt", 0, grey, other, 1000.0, 400.0, 0.01)
    apart = difference_map(pair)
    assert apart.shape == (32, 32) and apart[:8].min() == pytest.approx(102 / 3 / 255) and apart[8:].max() == 0
    figure = side_by_side([pair], title="toy", reference="50 steps", candidate="policy", difference=True)
    assert [axes.get_xlabel() for axes in figure.axes] == ["1,000 ms", "400 ms · LPIPS 0.0100", "mean 3.3 %"]
    assert "difference" in figure.axes[2].get_ylabel()


def test_a_schedule_has_a_row_per_group_and_a_column_per_step() -> None:
    mixing = (1.0, 1.0, 0.0, 1.0, 0.5, 0.5)
    policy = toy_policy("110100", mixing=mixing, groups={"deep": ("a",), "conv": ("b",)},
                        masks={"deep": "110101", "conv": "110100"})  # fmt: skip
    rows = schedule_rows(policy)
    kept, jump = "given back from an earlier step", "network not called"
    assert rows == {
        "deep": ["computed", "computed", jump, "computed", kept, "computed"],
        "conv": ["computed", "computed", jump, "computed", kept, kept],
        "all other parts": ["computed", "computed", jump, "computed", "computed", "computed"],
    }
    above, below = schedule_figure(policy, "toy").axes
    assert [label.get_text() for label in below.get_yticklabels()] == ["conv", "deep", "all other parts"]
    assert np.asarray(above.lines[0].get_ydata()).tolist() == [*mixing]
    assert np.asarray(above.lines[1].get_xdata()).tolist() == [0, 1, 3]
    assert "5 network calls\nin 6 steps" in [text.get_text() for text in above.texts]
    assert list(schedule_rows(toy_policy("111"))) == ["whole network"]


def test_a_short_schedule_has_no_half_steps() -> None:
    above, below = schedule_figure(toy_policy("1000", mixing=(1.0, 0.0, 0.0, 0.0)), "toy").axes
    assert all(tick == int(tick) for tick in below.get_xticks())
    assert "1 network call\nin 4 steps" in [text.get_text() for text in above.texts]


def test_growth_is_drawn_over_trials_and_over_minutes() -> None:
    grown = [Grown(0, 1, 60.0, 0.5, 0.5, None, True), Grown(1, 2, 180.0, 0.5, 0.5, None, False),
             Grown(2, 3, 240.0, 1.5, 0.5, None, True)]  # fmt: skip
    trials, times = growth_figure(grown, "toy").axes
    for axes, xs in ((trials, [1, 2, 3]), (times, [1.0, 3.0, 4.0])):
        lines = {str(line.get_label()): line for line in axes.lines}
        assert np.asarray(lines["all policies"].get_xydata()).tolist() == [*map(list, zip(xs, (0.5, 0.5, 1.5), strict=True))]
        assert np.asarray(lines["known policies alone"].get_ydata()).tolist() == [0.5] * 3
        assert np.asarray(lines["a trial that joined the front"].get_xdata()).tolist() == [xs[0], xs[2]]


def test_what_is_within_the_floor_stands_in_a_band() -> None:
    figure = front_figure(POINTS, title="toy", reference_ms=1000.0, floor_lpips=0.004)
    (band,) = figure.axes[0].patches
    assert isinstance(band, Rectangle)
    assert (band.get_y(), band.get_y() + band.get_height()) == pytest.approx((figure.axes[0].get_ylim()[0], 0.004))
    named = "closer than the reference is to its own limit"
    assert named in [text.get_text() for text in figure.legends[0].get_texts()]
    assert not front_figure(POINTS, title="toy", reference_ms=1000.0).axes[0].patches
    below = front_figure(POINTS, title="toy", reference_ms=1000.0, floor_lpips=1e-6)
    assert not below.axes[0].patches, "what lies below the axis is no band"
    plot = {trace.name: trace for trace in front_plot(POINTS, reference_ms=1000.0, floor_lpips=0.004).data}
    assert max(plot[named].y) == 0.004 and min(plot[named].y) > 0 and max(plot[named].x) > 1000


def test_importance_ranks_choices_by_the_most_that_they_explain() -> None:
    shares = {"latency": {"calls": 0.9, "solver": 0.1}, "LPIPS": {"calls": 0.3, "steps": 0.5, "solver": 0.2}}
    assert ranked(shares) == ["calls", "steps", "solver"] and ranked(shares, 1) == ["calls"]
    left, right = importance_figure(shares, "toy").axes
    assert [label.get_text() for label in left.get_yticklabels()] == ["calls", "steps", "solver"]
    assert [bar.get_width() for bar in left.patches] == pytest.approx([90, 0, 10])  # type: ignore[attr-defined]
    assert [bar.get_width() for bar in right.patches] == pytest.approx([30, 50, 20])  # type: ignore[attr-defined]


def test_the_plot_of_the_dashboard_has_the_figure_s_families_and_says_what_each_policy_does() -> None:
    known = replace(POINTS[3], label="13 <calls>", latency_ends=(290.0, 320.0), lpips_ends=(0.002, 0.02))
    points = (*POINTS[:3], known, POINTS[4])
    plot = front_plot(points, reference_ms=1000.0, limits=[0.05])
    traces = {trace.name: trace for trace in plot.data}
    assert {"trials of the search", "known: FRDiff", "known: jump", "reference", "front, 95 % intervals"} == set(traces)
    front = traces["front, 95 % intervals"]
    assert list(front.x) == [300.0, 500.0, 1000.0] and front.line.shape == "hv"
    assert list(front.error_x.array) == [20.0, 0.0, 0.0] and list(front.error_y.arrayminus) == [0.003, 0.0, 0.0]
    assert "trial 3" in front.text[0] and "3.33x" in front.text[0] and "13 &lt;calls&gt;" in front.text[0]
    assert min(traces["reference"].y) > 0, "a log axis has no 0"


def test_calls_figure_joins_the_closest_with_no_more_calls() -> None:
    points = (*POINTS, Point(5, SEARCHED, "", 350.0, 0.002, 26, reuses=True), Point(6, SEARCHED, "", 200.0, 0.05, 8))
    figure = calls_figure(points, title="toy", floor_lpips=0.003)
    axes = figure.axes[0]
    lines = {str(line.get_label()): line for line in axes.lines}
    joined = np.asarray(lines["closest so far"].get_xydata()).tolist()
    assert joined[:4] == [[8, 0.05], [13, 0.005], [25, 0.003], [26, 0.002]] and joined[4][0] == 50
    assert np.asarray(lines["trials that reuse layers at some calls"].get_xydata()).tolist() == [[26, 0.002]]
    assert (axes.get_yscale(), axes.get_xlabel()) == ("log", "network calls per image")
    assert "closer than the reference is to its own limit" in {text.get_text() for text in figure.legends[0].get_texts()}
    assert len(calls_figure(POINTS[:1], title="toy").axes[0].patches) == 0, "no floor, no band"
