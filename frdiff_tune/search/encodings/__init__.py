"""Keyframe encodings: how a search writes the set of keyframes as numbers."""

from frdiff_tune.search.encodings._base import Bounds, Encoding, Numbers
from frdiff_tune.search.encodings.keyframes import Keyframes
from frdiff_tune.search.encodings.phases import Phases
from frdiff_tune.search.encodings.power import Power
from frdiff_tune.search.encodings.uniform import Uniform

ENCODINGS: dict[str, type[Encoding]] = {
    "uniform": Uniform,
    "power": Power,
    "phases": Phases,
    "keyframes": Keyframes,
}

__all__ = ["ENCODINGS", "Bounds", "Encoding", "Keyframes", "Numbers", "Phases", "Power", "Uniform"]
