"""The search: studies, spaces, encodings, samplers, the ledger, the front, and what is exported from it."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from frdiff_tune.search.attribution import importance
    from frdiff_tune.search.choice import Pick, knee, pick
    from frdiff_tune.search.cost import Estimate, estimate
    from frdiff_tune.search.elsewhere import known_from_elsewhere
    from frdiff_tune.search.export import Export, export_policy, exporting
    from frdiff_tune.search.growth import history
    from frdiff_tune.search.limit import Limit
    from frdiff_tune.search.location import shipped
    from frdiff_tune.search.outcome import TrialFailure, TrialOutcome, TrialStopped
    from frdiff_tune.search.pareto import Front, Point, front
    from frdiff_tune.search.polishing import Polishing, polish
    from frdiff_tune.search.record import Recorder
    from frdiff_tune.search.setting import (
        cache_folder,
        held_out_cases,
        machine_of,
        make_evaluator,
        open_pipeline,
        search_cases,
    )
    from frdiff_tune.search.space import Space
    from frdiff_tune.search.space_file import SpaceFile
    from frdiff_tune.search.starting import StartingPoint, starting_points
    from frdiff_tune.search.study import Study, load_space, load_study
    from frdiff_tune.search.table import Table, TableEvaluator
    from frdiff_tune.search.tuning import Preparing, tune
    from frdiff_tune.search.volume import hypervolume

_PLACES = {
    "Estimate": "cost",
    "Export": "export",
    "Front": "pareto",
    "Limit": "limit",
    "Pick": "choice",
    "Point": "pareto",
    "Polishing": "polishing",
    "Preparing": "tuning",
    "Recorder": "record",
    "Space": "space",
    "SpaceFile": "space_file",
    "StartingPoint": "starting",
    "Study": "study",
    "Table": "table",
    "TableEvaluator": "table",
    "TrialFailure": "outcome",
    "TrialOutcome": "outcome",
    "TrialStopped": "outcome",
    "cache_folder": "setting",
    "estimate": "cost",
    "export_policy": "export",
    "exporting": "export",
    "front": "pareto",
    "held_out_cases": "setting",
    "history": "growth",
    "hypervolume": "volume",
    "importance": "attribution",
    "knee": "choice",
    "known_from_elsewhere": "elsewhere",
    "load_space": "study",
    "load_study": "study",
    "machine_of": "setting",
    "make_evaluator": "setting",
    "open_pipeline": "setting",
    "pick": "choice",
    "polish": "polishing",
    "search_cases": "setting",
    "shipped": "location",
    "starting_points": "starting",
    "tune": "tuning",
}

__all__ = [
    "Estimate",
    "Export",
    "Front",
    "Limit",
    "Pick",
    "Point",
    "Polishing",
    "Preparing",
    "Recorder",
    "Space",
    "SpaceFile",
    "StartingPoint",
    "Study",
    "Table",
    "TableEvaluator",
    "TrialFailure",
    "TrialOutcome",
    "TrialStopped",
    "cache_folder",
    "estimate",
    "export_policy",
    "exporting",
    "front",
    "held_out_cases",
    "history",
    "hypervolume",
    "importance",
    "knee",
    "known_from_elsewhere",
    "load_space",
    "load_study",
    "machine_of",
    "make_evaluator",
    "open_pipeline",
    "pick",
    "polish",
    "search_cases",
    "shipped",
    "starting_points",
    "tune",
]


def __getattr__(name: str) -> Any:  # noqa: ANN401
    """Imports a public name when it is first asked for: reading a study loads neither torch nor optuna's samplers."""
    if name not in _PLACES:
        raise AttributeError(f"module 'frdiff_tune.search' has no attribute {name!r}")
    return getattr(import_module(f"frdiff_tune.search.{_PLACES[name]}"), name)
