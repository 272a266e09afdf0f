"""The policy: a fully expanded answer to what is computed, reused, mixed and jumped at each step of a run.

Notation, used everywhere in this project:

    T         denoiser steps of one image: the length of the timestep list that the pipeline walks
    t         step index, 0 = first and noisiest, T - 1 = last
    g         a group of sites that always act together
    m[g][t]   1: group g computes and stores at step t; 0: it gives back what it stored
    keyframe  a step whose score is stored for later ones; step 0 always is one
    score     the denoiser's output, whatever its prediction type
    w[t]      weights of the last keyframes' scores, newest first; (1,) holds the last one
    lam[t]    weight of the step's own score where t is no keyframe, in [0, 1]; 0 is a jump, which calls no network
    NFE       steps that call the network

    score[t] = lam[t] * f(x[t], reused features) + (1 - lam[t]) * sum_k w[t][k] * score[k-th last keyframe]

References:
    | FRDiff: Feature Reuse for Universal Training-free Acceleration of Diffusion Models (So et al., 2024)
    | https://arxiv.org/abs/2312.03517
"""

import hashlib
import json
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import ConfigDict, Field, ModelWrapValidatorHandler, ValidationError, model_validator

from frdiff_tune.errors import PolicyError
from frdiff_tune.policy import canonical, multistep, rules
from frdiff_tune.policy.fit import Fit
from frdiff_tune.policy.plan import StepPlan, make_plan
from frdiff_tune.policy.resample import resampled
from frdiff_tune.policy.section import Number, Section
from frdiff_tune.policy.sections import Machine, Measured, ModelInfo, Provenance, Sampling

SCHEMA_VERSION: Literal[2] = 2
Bits = Annotated[str, Field(pattern="^[01]*$")]


class Policy(Section):
    """Which steps are keyframes, which groups compute when, and how scores are mixed; frozen and canonical.

    Arguments:
        model: The model that it is for.
        sampling: Step count, solver and how guidance runs.
        keyframes: T digits, 1 = the step's score is stored.
        mixing: lam, T numbers in [0, 1].
        groups: Site names per group.
        masks: T digits per group, 1 = computes.
        variable: What scores are stored, forecast and mixed as: the network's own output, noise, or clean sample.
        forecast: Weights w, T lists per ``"score"`` or group; absent: the last one is held.
        fit: What the weights of its scheduler were fitted on; None where they are a known solver's.
        measured: What was measured of it.
        machine: Where.
        provenance: Which search found it.
        schema_version: Version of the file format.

    Raises:
        PolicyError: If a rule of the format is broken.
    """

    model_config = ConfigDict(title="frdiff-tune policy", validate_default=True)

    schema_version: Literal[2] = SCHEMA_VERSION
    model: ModelInfo
    sampling: Sampling
    keyframes: Bits
    mixing: tuple[Number, ...]
    groups: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    masks: dict[str, Bits] = Field(default_factory=dict)
    variable: Literal["output", "epsilon", "sample"] = "output"
    forecast: dict[str, tuple[tuple[Number, ...], ...]] = Field(default_factory=dict)
    fit: Fit | None = None
    measured: Measured | None = None
    machine: Machine | None = None
    provenance: Provenance | None = None

    @model_validator(mode="wrap")
    @classmethod
    def _explain(cls, data: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:  # noqa: ANN401
        """Turns pydantic's findings into one ``PolicyError``."""
        try:
            policy = handler(data)
        except ValidationError as error:
            raise PolicyError(_explain(error)) from error
        policy._check()
        policy._settle()
        return policy

    def _check(self) -> None:
        """Checks the rules that span several tables."""
        rules.check_bits("keyframes", self.keyframes, self.T)
        rules.check_mixing(self.mixing, self.T)
        rules.check_groups(self.groups, self.masks, self.T)
        rules.check_forecast(self.forecast, {"score": self.keyframes, **self.masks}, self.T)
        self._check_scheduler()
        timesteps = self.sampling.timesteps
        if timesteps is not None and len(timesteps) != self.T:
            raise PolicyError(
                f"`sampling.timesteps` must have length T = {self.T} but got {len(timesteps)}. List every step's timestep."
            )

    def _check_scheduler(self) -> None:
        """Checks the tables of a linear multistep scheduler, and the grid that they walk."""
        sampling, grid = self.sampling, self.sampling.grid
        if sampling.scheduler.name == multistep.NAME:
            multistep.check_tables(sampling.scheduler.config)
            n = len(multistep.Tables.of(sampling.scheduler.config).timesteps)
            if n != sampling.num_inference_steps:
                raise PolicyError(
                    f"`sampling.num_inference_steps` must be {n}, the number of steps that the scheduler's tables hold, but "
                    f"got {sampling.num_inference_steps}. Fit the policy anew for another number."
                )
        elif grid is not None:
            raise PolicyError(
                f"`sampling.grid` must stand beside a {multistep.NAME}, whose tables walk it, but the scheduler is a "
                f"{sampling.scheduler.name}. Leave the grid out."
            )
        if grid is not None:
            multistep.check_grid(grid.steps, self.T, grid.T)

    def _settle(self) -> None:
        """Replaces the tables by their canonical form; ``frozen`` guards only against the caller."""
        mixing = canonical.canonical_mixing(self.keyframes, self.mixing)
        calls = canonical.network_calls(mixing)
        masks = canonical.canonical_masks(self.masks, calls)
        groups = {name: tuple(sorted(self.groups[name])) for name in masks}
        rules.check_nesting(groups)
        jumps = "".join("0" if lam == 1.0 else "1" for lam in mixing)
        uses = {"score": jumps} | {
            name: "".join("1" if c == "1" and m == "0" else "0" for c, m in zip(calls, mask, strict=True))
            for name, mask in masks.items()
        }
        forecast = {
            name: weights
            for name, table in sorted(self.forecast.items())
            if name in uses and (weights := canonical.canonical_weights(name, table, uses[name])) is not None
        }
        settled = {"mixing": mixing, "masks": masks, "groups": groups, "forecast": forecast}
        if "1" not in jumps:
            settled["variable"] = "output"
        self.__dict__.update(settled)

    @property
    def T(self) -> int:
        """Denoiser steps of one image."""
        return self.sampling.T

    @property
    def nfe(self) -> int:
        """Steps that call the network."""
        return canonical.network_calls(self.mixing).count("1")

    @property
    def digest(self) -> str:
        """SHA-256, hexadecimal, of all that changes the picture."""
        tables = self.model_dump(mode="json", by_alias=True, exclude={"fit", "measured", "machine", "provenance"})
        tables["schema_version"] = 1  # a constant: what was measured under an older version of the format stays known
        if tables["sampling"]["grid"] is None:
            del tables["sampling"]["grid"]
        tables["model"] = {key: tables["model"][key] for key in ("pipeline", "denoiser", "digest")}
        return hashlib.sha256(json.dumps(tables, sort_keys=True).encode()).hexdigest()

    def plan(self) -> tuple[StepPlan, ...]:
        """Returns what happens at each step, length T."""
        return make_plan(self)

    def replace(self, **changes: Any) -> "Policy":  # noqa: ANN401
        """Returns a copy with some fields changed, checked and canonical like any policy."""
        return Policy.model_validate({**dict(self), **changes})

    def resample(self, steps: int, T: int | None = None) -> "Policy":
        """Returns the policy stretched to another walk, as for another step count or another img2img strength.

        Keyframes and masks keep their fractions of the run and their number, lam and forecast weights come from the nearest
        step of the same kind: in a longer run the steps between are reused or jumped as the nearest such step was. What was
        measured does not hold for it, so it is dropped: ``frdiff-tune check`` measures the result anew.

        Arguments:
            steps: The new ``num_inference_steps``.
            T: Steps that the call walks; None: as many as before, times the ratio of the step counts. Schedulers that call
                the network twice per step walk another number: the message that refuses a call names it.

        Raises:
            PolicyError: If a number is no whole one from 1 on, or the policy lists its timesteps.
        """
        return self.replace(**resampled(self, steps, T))

    def save(self, path: str | Path) -> None:
        """Writes the policy as JSON; the file appears whole or not at all.

        Raises:
            PolicyError: If it cannot be written; what stood there before is untouched.
        """
        from frdiff_tune.policy.files import write

        write(self, Path(path))

    @classmethod
    def load(cls, path: str | Path, *, filename: str | None = None, revision: str | None = None) -> "Policy":
        """Reads a policy file, also one of an older ``schema_version``, from the disk or from a repository of the hub.

        Arguments:
            path: Of the file; or a repository, as ``user/repo``, where no file of that name is there.
            filename: Of the file in a repository; None: ``policy.json``.
            revision: Branch, tag or commit of a repository; None: the newest.

        Raises:
            PolicyError: If the file is missing, truncated, newer than this version, or breaks a rule.
        """
        from frdiff_tune.policy.files import read
        from frdiff_tune.policy.hub import fetch, is_repository

        return read(fetch(str(path), filename, revision) if is_repository(path, filename) else Path(path))


def _explain(error: ValidationError) -> str:
    """Returns pydantic's first finding in the house's words."""
    first = error.errors()[0]
    field = ".".join(str(part) for part in first["loc"]) or "the policy"
    if first["type"] == "extra_forbidden":
        return f"`{field}` is not a key of a policy (schema_version {SCHEMA_VERSION}). Remove it or correct its spelling."
    if first["type"] == "missing":
        return f"`{field}` must be given but is missing. `frdiff-tune schema` prints what a policy holds."
    return f"`{field}` must obey: {first['msg']}, but got {str(first['input'])[:80]!r}. `frdiff-tune schema` prints the rule."
