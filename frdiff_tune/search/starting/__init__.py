"""Starting points: what a study measures before its sampler proposes anything."""

from frdiff_tune.search.starting.own import ramp
from frdiff_tune.search.starting.point import StartingPoint, base_point, own_scheduler
from frdiff_tune.search.starting.points import AUTOFR, KINDS, KNOWN_KINDS, SHARE, TURNS, starting_points

__all__ = [
    "AUTOFR",
    "KINDS",
    "KNOWN_KINDS",
    "SHARE",
    "TURNS",
    "StartingPoint",
    "base_point",
    "own_scheduler",
    "ramp",
    "starting_points",
]
