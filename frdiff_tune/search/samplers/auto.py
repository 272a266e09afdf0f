"""The sampler that is used unless a study names one."""

from optuna.samplers import BaseSampler

from frdiff_tune.search.samplers._base import Proposal
from frdiff_tune.search.samplers.guided import guided


def auto(proposal: Proposal) -> BaseSampler:
    """Returns guided search, which needs the fewest trials.

    How many of the 1,642 recorded policies of each embedded model are measured until a search has 95 % and 99 % of the
    hypervolume of all (``python -m benchmarks.search demo demo-dit --seeds 20``, medians; its results have the quartiles, the
    other searches, and seconds):

    ====================================  ===========  ===========
    search                                text model   class model
    ====================================  ===========  ===========
    guided, known policies in between     21, 75       25, 82
    NSGA-II, as ECAD uses it              258, 380     246, -
    random                                486, 1002    402, 1128
    ====================================  ===========  ===========

    NSGA-II ended after 400. Our own are optimistic: what foresight expects, and how surely, was chosen on the same two tables.

    Dynamic programming over keyframe sets alone, annealing over them, FRDiff's uniform grid and fewer steps never get to 95 %.

    Arguments:
        proposal: What is proposed for.
    """
    return guided(proposal)
