"""Schedulers of our own: tables of weights, known solvers written as such, and the time grids that they walk."""

from frdiff_tune.runtime.schedulers.expansion import expand_scheduler, first_order_rows, make_multistep
from frdiff_tune.runtime.schedulers.first_order import first_order
from frdiff_tune.runtime.schedulers.grid import TimeGrid, read_grid
from frdiff_tune.runtime.schedulers.linear_multistep import LinearMultistepScheduler
from frdiff_tune.runtime.schedulers.reference_walk import ReferenceWalk, multistep_policy

__all__ = [
    "LinearMultistepScheduler",
    "ReferenceWalk",
    "TimeGrid",
    "expand_scheduler",
    "first_order",
    "first_order_rows",
    "make_multistep",
    "multistep_policy",
    "read_grid",
]
