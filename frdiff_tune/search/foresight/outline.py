"""Outlines: what a policy does, without its tables; a hundred times faster made than the policy itself."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from frdiff_tune.policy.canonical import JUMP_BELOW
from frdiff_tune.runtime.variable import Variable
from frdiff_tune.search.forecasts import HOLD
from frdiff_tune.search.intervals import chosen, computing
from frdiff_tune.search.space_file import FEATURES, FITTED, STRENGTH, Params, round_fit, round_strength

if TYPE_CHECKING:
    from frdiff_tune.search.space import Space


@dataclass(frozen=True, slots=True)
class Outline:
    """What parameters say of a policy; those that write the same policy have the same outline, as far as can be told.

    Arguments:
        scheduler: Label of the solver; of fitted steps the run is the reference's, and what they do not walk counts as jumped.
        steps: Step count of the call.
        keyframes: Step indices, step 0 first.
        mixing: lam per step, length T; 1 at keyframes.
        groups: Names of the groups that reuse between keyframes.
        variable: What jump scores are stored as; empty where no step jumps.
        order: Degree of the jump score's extrapolation.
        strength: How much of the way from the held score to the extrapolated one is gone.
        shares: How much of the way from there to the fitted one, per part of the run.
        features: What stands in for features that are reused.
        every: At every how many steps each of ``groups`` computes between keyframes; 0 not at all.

    Attributes:
        nfe: Steps that call the network.
    """

    scheduler: str
    steps: int
    keyframes: tuple[int, ...]
    mixing: tuple[float, ...]
    groups: tuple[str, ...] = ()
    variable: Variable | Literal[""] = ""
    order: int = 0
    strength: float = 0.0
    shares: tuple[float, ...] = ()
    features: str = HOLD
    every: tuple[int, ...] = ()
    nfe: int = field(init=False, compare=False)
    _hash: int = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        what = self.scheduler, self.keyframes, self.mixing, self.groups, self.variable, self.strength, self.shares, self.every
        object.__setattr__(self, "_hash", hash(what))
        object.__setattr__(self, "nfe", sum(lam > 0 for lam in self.mixing))

    def __hash__(self) -> int:  # a proposal looks thousands of times into tables of outlines, whose tuples are long
        return self._hash

    @property
    def T(self) -> int:
        """Denoiser steps of the run."""
        return len(self.mixing)

    def reused(self, group: str) -> int:
        """Returns the network calls in which a group reuses."""
        if group not in self.groups:
            return 0
        computes = computing(self.keyframes, self.T, self.every[self.groups.index(group)])
        return self.nfe - sum(self.mixing[t] > 0 for t in computes)

    @property
    def jumps(self) -> bool:
        """Whether a forecast score counts anywhere."""
        return min(self.mixing) < 1


def outline_of(space: "Space", params: Params) -> Outline:
    """Returns the outline of the policy that parameters decode to.

    Arguments:
        space: The space on its pipeline.
        params: A value per name of ``space.distributions``.
    """
    keyframes, T = space.keyframes(params)
    if space.fitted is not None and params["scheduler"] == FITTED:
        return _fitted(space, params, keyframes, T)
    known = set(keyframes)
    lam = [float(value) if value >= JUMP_BELOW else 0.0 for value in space.mixing.decode(params)(T)]
    mixing = tuple(1.0 if t in known else value for t, value in enumerate(lam))
    reuses = any(mixing[t] > 0 for t in range(T) if t not in known)
    groups = tuple(space.nested(tuple(g for g in space.groups if params[f"group.{g}"]))) if reuses else ()
    scheduler, steps = params["scheduler"], params["num_inference_steps"]
    if not groups and min(mixing) == 1:
        return Outline(scheduler, steps, tuple(range(T)), mixing)
    features = params.get(FEATURES, space.file.forecast.features[0]) if groups else HOLD
    intervals = tuple(chosen(params, groups, space.intervals).values())
    outline = Outline(scheduler, steps, tuple(keyframes), mixing, groups, features=features, every=intervals)
    return _with_trend(outline, space, params) if outline.jumps else outline


def _fitted(space: "Space", params: Params, keyframes: list[int], T: int) -> Outline:
    """Returns the outline of fitted steps: steps of the reference that are not walked count as jumps of held clean samples."""
    assert space.fitted is not None, "the space fits"
    if len(keyframes) == T:
        return Outline(FITTED, space.reference_steps, tuple(range(T)), (1.0,) * T)
    groups = space.reusing(params)
    steps = space.fitted.schedule(params, keyframes, groups).steps
    mixing = tuple(1.0 if t in steps else 0.0 for t in range(T))
    names = tuple(groups) if len(steps) > len(keyframes) else ()
    every = (0,) * len(names)
    return Outline(FITTED, space.reference_steps, tuple(keyframes), mixing, names, "sample", every=every)


def _with_trend(outline: Outline, space: "Space", params: Params) -> Outline:
    section = space.file.forecast
    shares = tuple(round_fit(params.get(name, 0.0)) for name in section.fits) if space.has_fit else ()
    order, strength = params["forecast.order"], round_strength(params.get(STRENGTH, section.strength[0]))
    if not order or not strength or (shares and min(shares) == 1):
        order, strength = 0, 0.0
    return Outline(
        outline.scheduler, outline.steps, outline.keyframes, outline.mixing, outline.groups,
        params["forecast.variable"], order, strength, shares if any(shares) else (), outline.features, outline.every,
    )  # fmt: skip
