"""Brute force: every parameter vector of a finite space, once."""

from optuna.samplers import BaseSampler, BruteForceSampler

from frdiff_tune.errors import StudyError
from frdiff_tune.search.distributions import values_of
from frdiff_tune.search.samplers._base import Proposal, quiet


def brute_force(proposal: Proposal) -> BaseSampler:
    """Returns enumeration in a shuffled order.

    Arguments:
        proposal: What is proposed for.

    Raises:
        StudyError: If the space is not finite.
    """
    endless = [name for name, each in proposal.space.distributions.items() if values_of(each) is None]
    if endless:
        raise StudyError(
            f"`search.sampler` must suit the space but got 'brute_force' and {endless[0]!r} has no end of values. "
            f'Fix its bounds to one value in the space file, or use "auto".'
        )
    with quiet():
        return BruteForceSampler(seed=proposal.study_seed)
