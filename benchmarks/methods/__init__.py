"""Methods that draw with few network calls, in the order in which they are measured."""

from benchmarks.methods._base import Keyframes, Method, Setting, tables, tuning_cases
from benchmarks.methods.annealing import Annealing
from benchmarks.methods.fewer_steps import FewerSteps
from benchmarks.methods.fitted_reuse import FittedReuse
from benchmarks.methods.fitted_steps import FittedSteps
from benchmarks.methods.fitted_weights import FittedWeights
from benchmarks.methods.sampler import Sampler, SamplerPainter
from benchmarks.methods.spectrum import Spectrum
from benchmarks.methods.timestep_lists import AlignYourSteps, OptimalSteps

METHODS: dict[str, Method] = {
    method.name: method
    for method in (
        FewerSteps("DDIM", "fewer steps", "DDIMScheduler"),
        FewerSteps("DPM-Solver++ 2M", "fewer steps", "DPMSolverMultistepScheduler"),
        AlignYourSteps("Align Your Steps", "Align Your Steps"),
        OptimalSteps("OptimalSteps", "OptimalSteps"),
        FittedWeights("fitted weights, schema 1", "fitted weights, schema 1"),
        Annealing("BudCache's annealing", "BudCache's annealing"),
        Spectrum("Spectrum", "Spectrum"),
        FittedSteps("fitted steps, uniform grid", "fitted steps (ours)"),
        FittedSteps("fitted steps, searched grid", "fitted steps (ours)", tries=60),
        FittedReuse("fitted steps, with reuse", "fitted steps (ours)"),
        FewerSteps("Euler", "fewer steps", "EulerDiscreteScheduler"),
        FewerSteps("UniPC", "fewer steps", "UniPCMultistepScheduler"),
        FewerSteps("DEIS", "fewer steps", "DEISMultistepScheduler"),
    )
}
"""Name -> method."""

__all__ = [
    "METHODS",
    "AlignYourSteps",
    "Annealing",
    "FewerSteps",
    "FittedReuse",
    "FittedSteps",
    "FittedWeights",
    "Keyframes",
    "Method",
    "OptimalSteps",
    "Sampler",
    "SamplerPainter",
    "Setting",
    "Spectrum",
    "tables",
    "tuning_cases",
]
