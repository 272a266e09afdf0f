"""Foresight: what a search expects of a policy before it is measured, from recorded full runs and from the trials so far."""

from frdiff_tune.search.foresight.errors_foreseen import EARLY, ErrorSources, Foreseen
from frdiff_tune.search.foresight.foresight import Foresight
from frdiff_tune.search.foresight.gain import expected_gain, gain_in_loss, gain_in_time
from frdiff_tune.search.foresight.latency_model import LatencyModel
from frdiff_tune.search.foresight.outline import Outline, outline_of
from frdiff_tune.search.foresight.quality_model import QualityModel

__all__ = [
    "EARLY",
    "ErrorSources",
    "Foreseen",
    "Foresight",
    "LatencyModel",
    "Outline",
    "QualityModel",
    "expected_gain",
    "gain_in_loss",
    "gain_in_time",
    "outline_of",
]
