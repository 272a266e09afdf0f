"""Samplers: who proposes the next trial."""

from frdiff_tune.search.samplers._base import MakeSampler, Proposal, quiet
from frdiff_tune.search.samplers.auto import auto
from frdiff_tune.search.samplers.brute_force import EXHAUSTED, brute_force
from frdiff_tune.search.samplers.cmaes import cmaes
from frdiff_tune.search.samplers.gp import gp
from frdiff_tune.search.samplers.guided import guided
from frdiff_tune.search.samplers.local import local
from frdiff_tune.search.samplers.nsga2 import nsga2
from frdiff_tune.search.samplers.nsga3 import nsga3
from frdiff_tune.search.samplers.qmc import qmc
from frdiff_tune.search.samplers.random import random
from frdiff_tune.search.samplers.tpe import tpe

SAMPLERS: dict[str, MakeSampler] = {
    "auto": auto,
    "guided": guided,
    "local": local,
    "tpe": tpe,
    "nsga2": nsga2,
    "nsga3": nsga3,
    "gp": gp,
    "cmaes": cmaes,
    "random": random,
    "brute_force": brute_force,
    "qmc": qmc,
}

SINGLE = ("cmaes",)
"""Those that know one objective only."""
FORESEEING = ("auto", "guided")
"""Those that foresee errors, and so find good keyframe sets without being shown any."""

__all__ = ["EXHAUSTED", "FORESEEING", "SAMPLERS", "SINGLE", "MakeSampler", "Proposal", "quiet"]
