"""lam families: how much of a step's own score counts where it is no keyframe.

A family is a frozen dataclass. Called with T it gives T weights; ``Family.fit`` finds the member back from weights.
"""

from frdiff_tune.policy.mixing._base import BIAS_STEP, Mixing, round_bias, round_slope
from frdiff_tune.policy.mixing.cosine import Cosine
from frdiff_tune.policy.mixing.hard_sigmoid import HardSigmoid
from frdiff_tune.policy.mixing.jump import Jump
from frdiff_tune.policy.mixing.linear import Linear
from frdiff_tune.policy.mixing.none import NoMixing
from frdiff_tune.policy.mixing.piecewise import KNOT_STEP, KNOTS, Piecewise
from frdiff_tune.policy.mixing.sigmoid import Sigmoid
from frdiff_tune.policy.mixing.step import Step

MIXING: dict[str, type[Mixing]] = {
    "none": NoMixing,
    "jump": Jump,
    "hard_sigmoid": HardSigmoid,
    "sigmoid": Sigmoid,
    "linear": Linear,
    "cosine": Cosine,
    "step": Step,
    "piecewise": Piecewise,
}

__all__ = [
    "BIAS_STEP",
    "KNOTS",
    "KNOT_STEP",
    "MIXING",
    "Cosine",
    "HardSigmoid",
    "Jump",
    "Linear",
    "Mixing",
    "NoMixing",
    "Piecewise",
    "Sigmoid",
    "Step",
    "round_bias",
    "round_slope",
]
