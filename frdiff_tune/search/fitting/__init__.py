"""Fitted steps: the weights of a linear multistep scheduler, solved for on the policy's own states."""

from frdiff_tune.search.fitting.case_fit import QUICK_CASES, CaseFit
from frdiff_tune.search.fitting.fit import FitResult, drain, fit_steps, walk_steps
from frdiff_tune.search.fitting.lockstep import Call, lockstep
from frdiff_tune.search.fitting.prefix_cache import PrefixCache
from frdiff_tune.search.fitting.reference_states import ReferenceStates, record_states, states_bytes
from frdiff_tune.search.fitting.step_solver import FitOptions, StepWeights, solve_step

__all__ = [
    "QUICK_CASES",
    "Call",
    "CaseFit",
    "FitOptions",
    "FitResult",
    "PrefixCache",
    "ReferenceStates",
    "StepWeights",
    "drain",
    "fit_steps",
    "lockstep",
    "record_states",
    "solve_step",
    "states_bytes",
    "walk_steps",
]
