"""Applying a policy to a pipeline."""

from pathlib import Path
from typing import Any, Literal

from frdiff_tune.errors import MismatchError
from frdiff_tune.policy import Policy
from frdiff_tune.runtime.applied import Applied
from frdiff_tune.runtime.clock import OnMismatch


def apply_policy(
    pipe: Any,  # noqa: ANN401
    policy: Policy | str | Path,
    *,
    capture: Literal["eager"] = "eager",
    on_mismatch: OnMismatch = "error",
) -> Applied:
    """Puts a policy on a pipeline: from then on its runs compute, reuse, mix and jump as the policy says.

    Nothing of the user's classes is changed, and nothing of ours stays after ``.remove()``. The result is a context
    manager; calling it runs the pipeline with the policy's step count.

    Arguments:
        pipe: A diffusers pipeline, on any device and in any dtype.
        policy: A policy or the path of its file.
        capture: How the network is launched; only ``"eager"`` as yet.
        on_mismatch: What to do with a call whose step count or walk the policy does not fit: ``"error"`` refuses it;
            ``"plain"``, for serving, computes every step (with the policy's solver, if it brings one) with one warning, and
            the trace says why. Other mistakes, as a replaced module, are refused either way.

    Returns:
        The applied policy.

    Raises:
        MismatchError: If the policy is for another denoiser, noise schedule or prediction type, names sites that the model
            does not have or weights for a group, or something has a policy on already: denoiser, scheduler, or a cache of
            diffusers' own.
        PolicyError: If a file cannot be read.
    """
    if capture != "eager":
        raise MismatchError(f"`capture` must be 'eager' but got {capture!r}. Other launch modes are not supported yet.")
    if on_mismatch not in ("error", "plain"):
        raise MismatchError(f"`on_mismatch` must be 'error' or 'plain' but got {on_mismatch!r}. Use 'error' to be told.")
    return Applied(pipe, policy if isinstance(policy, Policy) else Policy.load(policy), on_mismatch)
