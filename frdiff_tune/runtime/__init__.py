"""The runtime: sites, families, builders, the step clock, reuse, mixing, apply. Knows torch and diffusers, no optuna."""

from frdiff_tune.runtime.applied import Applied
from frdiff_tune.runtime.apply import apply_policy
from frdiff_tune.runtime.bases import BASES, Basis, Chebyshev, Fitted, Hermite, Lagrange, Taylor
from frdiff_tune.runtime.builders import frdiff_policy, full_policy, keyframe_policy
from frdiff_tune.runtime.families import Site
from frdiff_tune.runtime.forecasting import forecast_features, forecastable
from frdiff_tune.runtime.launch import CAPTURES, Capture
from frdiff_tune.runtime.pipeline import describe_model, load_pipeline, model_digest
from frdiff_tune.runtime.recording import Recording, record
from frdiff_tune.runtime.site import default_groups, discover_sites, find_denoiser, find_denoisers, match_groups
from frdiff_tune.runtime.solver import make_scheduler
from frdiff_tune.runtime.trace import StepTrace, Trace
from frdiff_tune.runtime.trajectory import Trajectory, record_trajectory
from frdiff_tune.runtime.unrolled import Moment, Unrolled

__all__ = [
    "BASES",
    "Basis",
    "CAPTURES",
    "Capture",
    "Chebyshev",
    "Fitted",
    "Hermite",
    "Lagrange",
    "Moment",
    "Recording",
    "Taylor",
    "forecast_features",
    "forecastable",
    "Applied",
    "Site",
    "StepTrace",
    "Trace",
    "Trajectory",
    "Unrolled",
    "apply_policy",
    "default_groups",
    "describe_model",
    "discover_sites",
    "find_denoiser",
    "find_denoisers",
    "frdiff_policy",
    "full_policy",
    "keyframe_policy",
    "load_pipeline",
    "make_scheduler",
    "match_groups",
    "model_digest",
    "record",
    "record_trajectory",
]
