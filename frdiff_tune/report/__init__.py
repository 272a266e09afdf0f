"""What a person sees of a study: words, text charts and figures."""

from frdiff_tune.report.chart import chart
from frdiff_tune.report.front_figure import front_figure, save_figure
from frdiff_tune.report.points import Point
from frdiff_tune.report.side_by_side import Pair, side_by_side
from frdiff_tune.report.words import describe

__all__ = ["Pair", "Point", "chart", "describe", "front_figure", "save_figure", "side_by_side"]
