"""Figures: what is drawn where. They were looked at, too."""

from pathlib import Path

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Text
from PIL import Image

from frdiff_tune.report.front_figure import CHOSEN, FRONT, front_figure, save_figure
from frdiff_tune.report.points import REFERENCE, SEARCHED, Point
from frdiff_tune.report.side_by_side import Pair, side_by_side

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
    assert {"reference", "chosen", "front (3 policies)", "known: jump"} <= set(texts)


def test_a_long_title_stays_within_the_figure() -> None:
    machine = "Intel(R) Xeon(R) Processor @ 2.80GHz (2 cores), float32, batch 1, 128x128 px, torch 2.14.1+cu130, eager"
    figure = front_figure(POINTS, title=f"demo-quick: demo:emoji, reference with 50 steps\n{machine}", reference_ms=1000.0)
    FigureCanvasAgg(figure).draw()
    title = next(text for text in figure.findobj(Text) if isinstance(text, Text) and text.get_text().startswith("demo-quick"))
    assert title.get_window_extent().x1 < figure.bbox.x1


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
