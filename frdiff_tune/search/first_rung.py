"""The first rung of a search over fitted steps: how near the fit's own last latents come, before any picture is decoded."""

from collections.abc import Sequence

from optuna.trial import FrozenTrial, TrialState

from frdiff_tune.policy import Policy

RUNG = "first_rung"
"""Trial attribute: latent error, steps, and steps at which every group computes."""
MARGIN = 1.1
"""A fit must be worse by so much to end a trial: latents of 48 cases order policies no finer."""


def rung_of(policy: Policy) -> dict[str, float]:
    """Returns what the fit of a policy says of it; nothing for policies that were not fitted."""
    if policy.fit is None:
        return {}
    full = sum(all(mask[t] == "1" for mask in policy.masks.values()) for t in range(policy.T))
    return {"latent_error": policy.fit.latent_error, "steps": policy.T, "full": full}


def beaten_at_first_rung(policy: Policy, trials: Sequence[FrozenTrial]) -> FrozenTrial | None:
    """Returns a trial whose fit came nearer with no more steps, and no more of them in full; None if there is none.

    Arguments:
        policy: What is about to be measured.
        trials: Trials of the study.
    """
    own = rung_of(policy)
    if not own:
        return None
    ended = [trial for trial in trials if trial.state in (TrialState.COMPLETE, TrialState.PRUNED)]
    for trial in ended:
        other = trial.user_attrs.get(RUNG) or {}
        if other and other["steps"] <= own["steps"] and other["full"] <= own["full"]:
            if other["latent_error"] * MARGIN < own["latent_error"]:
                return trial
    return None
