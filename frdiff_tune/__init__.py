"""frdiff-tune: measured acceleration of diffusion models, from an Optuna search to one JSON policy.

>>> from frdiff_tune import apply_policy
>>> applied = apply_policy(pipe, "policy.json")
>>> image = applied("a fox on a blue background").images[0]
"""

from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from frdiff_tune.errors import FrdiffError

if TYPE_CHECKING:
    from frdiff_tune.measure import Evaluator
    from frdiff_tune.policy import Policy
    from frdiff_tune.runtime import (
        Applied,
        Site,
        apply_policy,
        discover_sites,
        frdiff_policy,
        full_policy,
        keyframe_policy,
        load_pipeline,
    )
    from frdiff_tune.runtime.schedulers import LinearMultistepScheduler, expand_scheduler
    from frdiff_tune.search import export_policy, front, load_study, tune

__version__ = version("frdiff-tune")

_PLACES = {
    "Policy": "policy",
    "Applied": "runtime",
    "Site": "runtime",
    "apply_policy": "runtime",
    "discover_sites": "runtime",
    "frdiff_policy": "runtime",
    "full_policy": "runtime",
    "keyframe_policy": "runtime",
    "load_pipeline": "runtime",
    "LinearMultistepScheduler": "runtime.schedulers",
    "expand_scheduler": "runtime.schedulers",
    "Evaluator": "measure",
    "export_policy": "search",
    "front": "search",
    "load_study": "search",
    "tune": "search",
}

__all__ = [
    "Applied",
    "Evaluator",
    "FrdiffError",
    "LinearMultistepScheduler",
    "Policy",
    "Site",
    "__version__",
    "apply_policy",
    "discover_sites",
    "expand_scheduler",
    "export_policy",
    "frdiff_policy",
    "front",
    "full_policy",
    "keyframe_policy",
    "load_pipeline",
    "load_study",
    "tune",
]


def __getattr__(name: str) -> Any:  # noqa: ANN401
    """Imports a public name when it is first asked for, so that applying a policy never loads the search."""
    if name not in _PLACES:
        raise AttributeError(f"module 'frdiff_tune' has no attribute {name!r}")
    return getattr(import_module(f"frdiff_tune.{_PLACES[name]}"), name)
