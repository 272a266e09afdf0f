"""The policy: the value, its tables, JSON in and out. Knows neither torch nor optuna."""

from frdiff_tune.policy.fit import Fit, Validity
from frdiff_tune.policy.plan import StepPlan
from frdiff_tune.policy.policy import SCHEMA_VERSION, Policy
from frdiff_tune.policy.schema import json_schema
from frdiff_tune.policy.sections import (
    Floor,
    FloorKind,
    Grid,
    Machine,
    Measured,
    ModelInfo,
    Provenance,
    Quality,
    Sampling,
    SchedulerInfo,
    SetKind,
    SetQuality,
)
from frdiff_tune.policy.timed import Conditions, Energy, Figure, Latency, Throughput

__all__ = [
    "SCHEMA_VERSION",
    "Conditions",
    "Energy",
    "Figure",
    "Fit",
    "Floor",
    "FloorKind",
    "Grid",
    "Latency",
    "Machine",
    "Measured",
    "ModelInfo",
    "Policy",
    "Provenance",
    "Quality",
    "Sampling",
    "SchedulerInfo",
    "SetKind",
    "SetQuality",
    "StepPlan",
    "Throughput",
    "Validity",
    "json_schema",
]
