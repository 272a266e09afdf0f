"""The front as an interactive figure, for Optuna's dashboard: every mark says what its policy does."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from textwrap import wrap
from typing import TYPE_CHECKING, Any

from frdiff_tune.report.front_figure import BAND, CHOSEN, FRONT, LOOKS, TRIAL, WITHIN_FLOOR
from frdiff_tune.report.points import REFERENCE, SEARCHED, Point, families, floor_of
from frdiff_tune.report.summary import digits, on_front

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

SYMBOLS = {"s": "square", "^": "triangle-up", "D": "diamond", "v": "triangle-down", "P": "cross", "X": "x"} | {
    "<": "triangle-left", ">": "triangle-right", "p": "pentagon", "h": "hexagon"
}  # fmt: skip
HOVER_CHARS = 60  # of a line


def front_plot(
    points: Sequence[Point], *, reference_ms: float, limits: Sequence[float] = (), floor_lpips: float | None = None
) -> Figure:
    """Returns a study's points: latency to the right, LPIPS upwards on a log axis, both better when smaller.

    Arguments:
        points: Every measured trial.
        reference_ms: Wall time of one unaccelerated pipeline call, in milliseconds.
        limits: LPIPS limits to mark, if any.
        floor_lpips: The study's floor, below which a band is drawn; None: no band.
    """
    from plotly.graph_objects import Figure, Scatter

    floor, best = floor_of(points), on_front(points)
    marks: dict[str, Any] = {"mode": "markers", "hoverinfo": "text"}
    own = [point for point in points if point.family == SEARCHED]
    traces = [] if floor_lpips is None or floor_lpips <= floor else [_band(points, floor, floor_lpips, reference_ms)]
    traces += [
        Scatter(name="trials of the search", marker={"color": TRIAL, "size": 7}, **marks, **_places(own, floor, reference_ms))
    ]
    for family, (symbol, colour) in zip(families(points), LOOKS * 4, strict=False):
        members = [point for point in points if point.family == family]
        look = {"symbol": f"{SYMBOLS[symbol]}-open", "color": colour, "size": 9, "line": {"width": 2}}
        traces.append(Scatter(name=family, marker=look, **marks, **_places(members, floor, reference_ms)))
    full = [point for point in points if point.family == REFERENCE]
    look = {"symbol": "star", "color": "black", "size": 13}
    traces.append(Scatter(name="reference", marker=look, **marks, **_places(full, floor, reference_ms)))
    line: dict[str, Any] = {"mode": "lines+markers", "line": {"color": FRONT, "shape": "hv"}, "hoverinfo": "text"}
    traces.append(Scatter(name="front, 95 % intervals", **line, **_ends(best), **_places(best, floor, reference_ms)))
    figure = Figure(traces)
    for limit in limits:
        figure.add_hline(y=limit, line={"color": CHOSEN, "dash": "dot"}, annotation_text=f"limit {limit:g}")
    figure.update_xaxes(title="latency: ms per picture call, whole pipeline (median)", rangemode="tozero")
    figure.update_yaxes(title="LPIPS to the reference: mean (log)", type="log", exponentformat="power", dtick=1)
    figure.update_layout(title="Time against likeness: lower left is better", template="plotly_white", hovermode="closest")
    return figure


def _band(points: Sequence[Point], floor: float, floor_lpips: float, reference_ms: float) -> Any:  # noqa: ANN401
    """Returns the band below the study's floor, as wide as the points."""
    from plotly.graph_objects import Scatter

    right = 1.04 * max([reference_ms, *(point.latency_ms for point in points)])
    corners = {"x": [0, right, right, 0], "y": [floor, floor, floor_lpips, floor_lpips]}
    look: dict[str, Any] = {"mode": "lines", "line": {"width": 0}, "fill": "toself", "fillcolor": BAND, "hoverinfo": "skip"}
    return Scatter(name=WITHIN_FLOOR, **look, **corners)


def _places(points: Sequence[Point], floor: float, reference_ms: float) -> dict[str, Any]:
    return {
        "x": [point.latency_ms for point in points],
        "y": [max(point.lpips, floor) for point in points],
        "text": [_hover(point, reference_ms) for point in points],
    }


def _hover(point: Point, reference_ms: float) -> str:
    speed = f"{point.latency_ms:,.0f} ms, {reference_ms / point.latency_ms:.2f}x, LPIPS {digits(point.lpips)}"
    return "<br>".join([f"<b>trial {point.number}</b>: {speed}", *map(escape, wrap(point.label, HOVER_CHARS))])


def _ends(best: Sequence[Point]) -> dict[str, Any]:
    """Returns the intervals of the front as error bars."""
    bars: dict[str, Any] = {}
    for axis, value, ends in (("x", "latency_ms", "latency_ends"), ("y", "lpips", "lpips_ends")):
        known = [getattr(point, ends) or (getattr(point, value),) * 2 for point in best]
        middle = [getattr(point, value) for point in best]
        bars[f"error_{axis}"] = {
            "type": "data",
            "symmetric": False,
            "array": [high - each for each, (_, high) in zip(middle, known, strict=True)],
            "arrayminus": [each - low for each, (low, _) in zip(middle, known, strict=True)],
            "thickness": 1,
            "width": 0,
            "color": FRONT,
        }
    return bars
