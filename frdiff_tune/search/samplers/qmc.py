"""Quasi-random search: draws that fill the space evenly."""

from optuna.samplers import BaseSampler, QMCSampler

from frdiff_tune.search.samplers._base import Proposal, quiet


def qmc(proposal: Proposal) -> BaseSampler:
    """Returns a scrambled Sobol sequence; which point comes next is kept in the storage.

    Arguments:
        proposal: What is proposed for.
    """
    with quiet():
        return QMCSampler(
            qmc_type="sobol",
            scramble=True,
            seed=proposal.study_seed,
            warn_independent_sampling=False,
            warn_asynchronous_seeding=False,
        )
