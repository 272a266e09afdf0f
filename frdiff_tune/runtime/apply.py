"""Applying a policy to a pipeline."""

from pathlib import Path
from typing import Any

from frdiff_tune.errors import MismatchError
from frdiff_tune.policy import Policy
from frdiff_tune.runtime.applied import Applied
from frdiff_tune.runtime.clock import OnMismatch
from frdiff_tune.runtime.launch import Capture
from frdiff_tune.runtime.storage import make_storage


def apply_policy(
    pipe: Any,  # noqa: ANN401
    policy: Policy | str | Path,
    *,
    capture: Capture = "eager",
    cache_dtype: Any = None,  # noqa: ANN401
    cache_device: Any = None,  # noqa: ANN401
    keep_alive: bool = False,
    on_mismatch: OnMismatch = "error",
) -> Applied:
    """Puts a policy on a pipeline: from then on its runs compute, reuse, mix and jump as the policy says.

    Nothing of the user's classes is changed, and nothing of ours stays after ``.remove()``. The result is a context
    manager; calling it runs the pipeline with the policy's step count.

    Arguments:
        pipe: A diffusers pipeline, on any device and in any dtype.
        policy: A policy or the path of its file.
        capture: How the network is launched: ``"eager"``, kernel by kernel; ``"cuda_graphs"``, on CUDA devices: one graph per
            distinct row of the masks, recorded during the first picture and replayed from then on, anew for another batch,
            resolution or prompt length; graphs and their memory stay until the policy is taken off; ``"compile"``: by
            ``torch.compile``, block by block where the network repeats blocks, until the policy is taken off.
        cache_dtype: A dtype of torch, or its name, that features are kept in: float16, bfloat16, float8_e4m3fn, float8_e5m2;
            None: the network's own. Narrow ones are scaled per picture so that nothing overflows. It costs one conversion
            per site and step, and a little likeness.
        cache_device: Where features wait until they are given back, as "cpu"; None: where they were computed. It costs a copy
            there where a group computes and one back where it gives back, which the host does not wait for.
        keep_alive: Whether features of a whole run stay in memory until the next run begins, for serving: nobody else can
            take the memory between calls. They are never used in the next run.
        on_mismatch: What to do with a call whose step count or walk the policy does not fit: ``"error"`` refuses it;
            ``"plain"``, for serving, computes every step (with the policy's solver, if it brings one) with one warning, and
            the trace says why. Other mistakes, as a replaced module, are refused either way.

    Returns:
        The applied policy.

    Raises:
        MismatchError: If the policy is for another denoiser, noise schedule or prediction type, names sites that the model
            does not have or weights for a group, or something has a policy on already: denoiser, scheduler, or a cache of
            diffusers' own; if an option has no such value.
        PolicyError: If a file cannot be read.
    """
    if on_mismatch not in ("error", "plain"):
        raise MismatchError(f"`on_mismatch` must be 'error' or 'plain' but got {on_mismatch!r}. Use 'error' to be told.")
    storage = make_storage(cache_dtype, cache_device, keep_alive)
    if capture == "cuda_graphs" and storage.device is not None:
        raise MismatchError("`cache_device` must be None with capture='cuda_graphs': a graph's memory stays where it is.")
    chosen = policy if isinstance(policy, Policy) else Policy.load(policy)
    return Applied(pipe, chosen, on_mismatch, storage, capture)
