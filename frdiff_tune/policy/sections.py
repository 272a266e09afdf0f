"""The sections of a policy file beside its tables: which model, which sampling, what was measured, where, and by whom."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, Strict

Number = Annotated[float, Strict(), Field(allow_inf_nan=False)]
Count = Annotated[int, Strict(), Field(ge=0)]


class Section(BaseModel):
    """A frozen part of a policy file; unknown keys are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


class ModelInfo(Section):
    """The model that a policy is for.

    Arguments:
        pipeline: Class name of the diffusers pipeline.
        denoiser: Class name of the network that is called at every step.
        digest: SHA-256 of the denoiser's configuration, hexadecimal.
        source: Hub id, folder name or factory that the model came from; empty if unknown.
        revision: Revision on the hub; empty for the newest.
    """

    pipeline: str
    denoiser: str
    digest: str
    source: str = ""
    revision: str = ""


class SchedulerInfo(Section):
    """A diffusion solver: its diffusers class and its whole configuration."""

    name: str = Field(alias="class", pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")
    config: dict[str, JsonValue]


class Sampling(Section):
    """How the run is walked.

    Arguments:
        num_inference_steps: What the caller passes to the pipeline.
        T: Denoiser steps of one image; differs from ``num_inference_steps`` for solvers of second order.
        timesteps: Scheduler timesteps to walk, or None for the scheduler's own.
        scheduler: The solver that is installed while the policy is on.
        guidance: How classifier-free guidance ran when the policy was measured; None if unknown.
    """

    num_inference_steps: Annotated[int, Strict(), Field(ge=1)]
    T: Annotated[int, Strict(), Field(ge=1)]
    timesteps: tuple[Number, ...] | None = None
    scheduler: SchedulerInfo
    guidance: Literal["batch", "separate", "none"] | None = None


class Latency(Section):
    """Wall time of one pipeline call, in milliseconds: median with its 95 % interval over ``count`` runs."""

    median_ms: Number
    low_ms: Number
    high_ms: Number
    count: Count
    samples_ms: tuple[Number, ...] | None = None


class Quality(Section):
    """One quality figure with its 95 % interval over ``count`` pictures.

    Arguments:
        metric: Name of the metric, as ``lpips``.
        unit: Unit of the value; ``1`` for a pure number.
        statistic: What of the pictures' values is stated; ``flips`` is the share above ``threshold``.
        value: The figure.
        low: Lower end of its interval.
        high: Upper end of its interval.
        count: Pictures.
        threshold: What counts as a flip; None for other statistics.
    """

    metric: str
    unit: str
    statistic: Literal["mean", "median", "p90", "flips"]
    value: Number
    low: Number
    high: Number
    count: Count
    threshold: Number | None = None


class Measured(Section):
    """What was measured of a policy, on which cases.

    Arguments:
        latency: Whole pipeline call under the policy.
        reference_latency: The bare pipeline at the reference's step count, interleaved with the former.
        loop_latency: The denoising loop alone, under the policy.
        speedup: Median of the paired ratios reference / policy.
        speedup_low: Lower end of its 95 % interval.
        speedup_high: Upper end of its 95 % interval.
        quality: Quality figures against the reference pictures.
        cache_bytes: Bytes that the run's stored tensors hold at their most.
        peak_bytes: Peak device memory of a call; None where the device does not tell.
        cases: Digest of the cases.
        case_count: Number of cases.
        held_out: Whether the search never saw these cases.
        within_limits: Whether the limits asked for at export were kept; None if there were none.
    """

    latency: Latency
    reference_latency: Latency
    loop_latency: Latency | None = None
    speedup: Number
    speedup_low: Number
    speedup_high: Number
    quality: tuple[Quality, ...]
    cache_bytes: Count
    peak_bytes: Count | None = None
    cases: str
    case_count: Count
    held_out: bool
    within_limits: bool | None = None


class Machine(Section):
    """The machine that a policy was measured on, and how the network was launched there; None where a value is unknown."""

    device: str
    driver: str | None = None
    torch: str
    diffusers: str
    cuda: str | None = None
    cpu: str | None = None
    cores: Count | None = None
    dtype: str
    batch: Count
    height: Count | None = None
    width: Count | None = None
    compile: str = "eager"
    capture: Literal["eager", "cuda_graphs", "compile"] = "eager"


class Provenance(Section):
    """Where a policy comes from: the record of the search, which the runtime never reads."""

    study: str = ""
    trial: Count | None = None
    parameters: Mapping[str, Any] = Field(default_factory=dict)
    sampler: str = ""
    seed: int | None = None
    created: str = ""
    frdiff_tune: str = ""
