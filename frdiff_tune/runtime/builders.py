"""Builders: from the usual ways of saying a schedule to a policy's tables."""

from collections.abc import Iterable, Mapping, Sequence
from math import isfinite
from typing import Any

from frdiff_tune.errors import MismatchError, PolicyError
from frdiff_tune.policy import Policy, Sampling
from frdiff_tune.policy.forecast import lagrange_weights
from frdiff_tune.policy.mixing import HardSigmoid
from frdiff_tune.runtime.holder import own_scheduler
from frdiff_tune.runtime.pipeline import describe_model
from frdiff_tune.runtime.site import default_groups, find_denoiser, match_groups
from frdiff_tune.runtime.solver import check_scheduler, make_scheduler, scheduler_info, timesteps_of
from frdiff_tune.runtime.variable import Variable

Groups = Sequence[str] | Mapping[str, Sequence[str]] | None


def full_policy(pipe: Any, steps: int, *, T: int | None = None, scheduler: Any = None) -> Policy:  # noqa: ANN401
    """Returns the policy under which every step computes.

    Arguments:
        pipe: A diffusers pipeline.
        steps: What the caller passes as ``num_inference_steps``.
        T: Steps that the call walks, where it is fewer than the scheduler's timesteps; None: all.
        scheduler: Another solver, or its class name; None: the pipeline's.

    Raises:
        MismatchError: If the pipeline cannot run the solver.
    """
    sampling, _ = _sampling(pipe, steps, T, scheduler)
    return Policy(model=describe_model(pipe), sampling=sampling, keyframes="1" * sampling.T, mixing=(1.0,) * sampling.T)


def keyframe_policy(
    pipe: Any,  # noqa: ANN401
    steps: int,
    keyframes: Iterable[int],
    mixing: float | Sequence[float] = 1.0,
    groups: Groups = None,
    order: int = 0,
    variable: Variable = "output",
    strength: float = 1.0,
    *,
    T: int | None = None,
    scheduler: Any = None,  # noqa: ANN401
) -> Policy:
    """Returns the policy with any set of keyframes.

    Arguments:
        pipe: A diffusers pipeline.
        steps: What the caller passes as ``num_inference_steps``.
        keyframes: Steps whose score is stored, in [0, T); 0 must be one.
        mixing: lam at the other steps: a number, or one per step; 0.0 jumps.
        groups: What reuses between keyframes: names of the family's own groups, or name -> patterns of sites; None: what
            FRDiff reuses.
        order: Degree of the jump score's extrapolation in the scheduler's time; 0 holds the last keyframe's.
        variable: What scores are stored and forecast as.
        strength: How much of the way from the held score to the extrapolated one is gone; 1.0 goes all of it.
        T: Steps that the call walks, where it is fewer than the scheduler's timesteps; None: all.
        scheduler: Another solver, or its class name; None: the pipeline's.

    Raises:
        PolicyError: If a keyframe, ``mixing``, ``order`` or ``strength`` is out of its range.
        MismatchError: If a group or the solver does not suit the pipeline.
    """
    sampling, times = _sampling(pipe, steps, T, scheduler)
    known = _keyframes(keyframes, sampling.T)
    bits = "".join("1" if t in known else "0" for t in range(sampling.T))
    if isinstance(order, bool) or not isinstance(order, int) or order < 0:
        raise PolicyError(f"`order` must be a whole number from 0 on but got {order!r}. Use 0, 1 or 2.")
    if isinstance(strength, bool) or not isinstance(strength, (int, float)) or not isfinite(strength):
        raise PolicyError(f"`strength` must be a finite number but got {strength!r}. Use 1.0, or 0.25 for a damped trend.")
    chosen = _groups(pipe, groups)
    return Policy(
        model=describe_model(pipe),
        sampling=sampling,
        keyframes=bits,
        mixing=_mixing(mixing, sampling.T),
        groups=chosen,
        masks=dict.fromkeys(chosen, bits),
        variable=variable,
        forecast={"score": lagrange_weights(times, sorted(known), order, strength)} if order else {},
    )


def frdiff_policy(
    pipe: Any,  # noqa: ANN401
    steps: int,
    interval: int = 2,
    slope: float = 30.0,
    bias: float = 0.5,
    score_mixing: bool = True,
    *,
    T: int | None = None,
    scheduler: Any = None,  # noqa: ANN401
) -> Policy:
    """Returns the schedule of the FRDiff paper, as its released code runs it.

    Every ``interval``-th step is a keyframe; elsewhere features are reused, and with score mixing
    lam[t] = clip((slope * (t / T - bias) + 2) / 4, 0, 1).

    Arguments:
        pipe: A diffusers pipeline.
        steps: What the caller passes as ``num_inference_steps``.
        interval: Steps from keyframe to keyframe, from 1 on.
        slope: Steepness of lam, per unit of t / T.
        bias: Where lam crosses 1/2, as a fraction of the run.
        score_mixing: False for pure feature reuse (lam = 1).
        T: Steps that the call walks, where it is fewer than the scheduler's timesteps; None: all.
        scheduler: Another solver, or its class name; None: the pipeline's.

    References:
        | FRDiff: Feature Reuse for Universal Training-free Acceleration of Diffusion Models (So et al., 2024), section 4
        | https://arxiv.org/abs/2312.03517
    """
    if isinstance(interval, bool) or not isinstance(interval, int) or interval < 1:
        raise PolicyError(f"`interval` must be a whole number from 1 on but got {interval!r}. Use 2 to reuse every other step.")
    length = _sampling(pipe, steps, T, scheduler)[0].T
    mixing = HardSigmoid(slope, bias)(length) if score_mixing else 1.0
    return keyframe_policy(pipe, steps, range(0, length, interval), mixing, T=T, scheduler=scheduler)


def _sampling(pipe: Any, steps: int, T: int | None, scheduler: Any) -> tuple[Sampling, list[float]]:  # noqa: ANN401
    """Returns the sampling section and the timesteps walked, length T."""
    if isinstance(steps, bool) or not isinstance(steps, int) or steps < 1:
        raise PolicyError(f"`steps` must be a whole number from 1 on but got {steps!r}. Give num_inference_steps.")
    if isinstance(scheduler, str):
        scheduler = make_scheduler(pipe, scheduler)
    elif scheduler is None:
        scheduler = own_scheduler(pipe)
    else:
        check_scheduler(pipe, scheduler)
    times = list(timesteps_of(scheduler, steps))
    length = len(times) if T is None else T
    if not 1 <= length <= len(times):
        raise PolicyError(
            f"`T` must lie in [1, {len(times)}], the timesteps of {type(scheduler).__name__} in {steps} steps, but got {T}. "
            f"Leave it out to walk them all."
        )
    return Sampling(num_inference_steps=steps, T=length, scheduler=scheduler_info(scheduler)), times[len(times) - length :]


def _keyframes(keyframes: Iterable[int], T: int) -> set[int]:
    known = set(keyframes)
    for k in sorted(known):
        if isinstance(k, bool) or not 0 <= k < T:
            raise PolicyError(f"`keyframes` must lie in [0, {T}) but got {k}. Count steps from 0, the noisiest.")
    if 0 not in known:
        raise PolicyError(f"`keyframes` must hold step 0 but got {sorted(known)}. Nothing is stored before it: add 0.")
    return known


def _mixing(mixing: float | Sequence[float], T: int) -> tuple[float, ...]:
    if isinstance(mixing, bool):
        raise PolicyError(f"`mixing` must be a number or one per step but got {mixing}. Use 1.0 to reuse, 0.0 to jump.")
    if isinstance(mixing, (int, float)):
        return (float(mixing),) * T
    return tuple(mixing)


def _groups(pipe: Any, groups: Groups) -> dict[str, tuple[str, ...]]:  # noqa: ANN401
    if isinstance(groups, Mapping):
        return match_groups(pipe, groups)
    own = default_groups(pipe)
    names = find_denoiser(pipe).family.paper_groups if groups is None else tuple(groups)
    for name in names:
        if name not in own:
            raise MismatchError(f"`groups` must name groups of the model but got {name!r}. It has {sorted(own)}.")
    return {name: own[name] for name in names}
