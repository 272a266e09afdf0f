"""The sections of a policy file beside its tables: which model, which sampling, what was measured, where, and by whom."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, JsonValue, Strict

from frdiff_tune.policy.fit import Validity
from frdiff_tune.policy.section import Count, Number, Section
from frdiff_tune.policy.timed import Conditions, Energy, Figure, Latency, Throughput


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


class Grid(Section):
    """Which steps of the reference's walk are walked.

    Arguments:
        num_inference_steps: The reference's.
        T: Steps of the reference's walk; a scheduler that repeats a time (Heun, PNDM) walks it once.
        steps: Indices into that walk, increasing from 0; one per step of the policy.
        leading: Times of the scheduler's list before the first step, which the call passes over (img2img with a strength).
    """

    num_inference_steps: Annotated[int, Strict(), Field(ge=1)]
    T: Annotated[int, Strict(), Field(ge=1)]
    steps: tuple[Annotated[int, Strict()], ...]
    leading: Count = 0


class Sampling(Section):
    """How the run is walked.

    Arguments:
        num_inference_steps: What the caller passes to the pipeline.
        T: Denoiser steps of one image; differs from ``num_inference_steps`` for solvers of second order.
        timesteps: Scheduler timesteps to walk, or None for the scheduler's own.
        scheduler: The solver that is installed while the policy is on.
        guidance: How classifier-free guidance ran when the policy was measured; None if unknown.
        grid: Which steps of the reference's walk the scheduler's tables walk; None where it walks its own times.
    """

    num_inference_steps: Annotated[int, Strict(), Field(ge=1)]
    T: Annotated[int, Strict(), Field(ge=1)]
    timesteps: tuple[Number, ...] | None = None
    scheduler: SchedulerInfo
    guidance: Literal["batch", "separate", "none"] | None = None
    grid: Grid | None = None


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


FloorKind = Literal["numerics", "discretisation"]


class Floor(Section):
    """How far pictures are from the reference without any policy's doing, with its 95 % interval over ``count`` pictures.

    Arguments:
        kind: ``numerics``: every step computed, launched and batched as under the policy; ``discretisation``: the reference
            against the same run with four times the steps.
        metric: Name of the metric, as ``lpips``.
        unit: Unit of the value; ``1`` for a pure number.
        statistic: What of the pictures' values is stated.
        value: The figure.
        low: Lower end of its interval.
        high: Upper end of its interval.
        count: Pictures.
    """

    kind: FloorKind
    metric: str
    unit: str
    statistic: Literal["mean", "median"]
    value: Number
    low: Number
    high: Number
    count: Count


SetKind = Literal["paired", "other_seeds", "own_pictures"]


class SetQuality(Section):
    """A figure between the set of the policy's pictures and another one; figures of different kinds do not compare.

    Arguments:
        metric: Name of the metric with the sample size, as ``fid_1k``.
        unit: Unit of the value; ``1`` for a pure number.
        kind: What the other set is: ``paired``, the reference's pictures of the same prompts and seeds, which gives 0 for the
            full policy; ``other_seeds``, the reference's of the same prompts and other seeds; ``own_pictures``, the user's.
        value: The figure.
        deviation: Standard deviation over subsets of the pictures; None where the metric has none.
        reference: The reference's own figure against the same set, with as many pictures; None for ``paired``.
        count: Pictures of the policy.
        other_count: Pictures of the other set; None: as many.
        comparable: Whether there are as many as papers use (10,000); else it compares only with figures of this size.
    """

    metric: str
    unit: str
    kind: SetKind
    value: Number
    deviation: Number | None = None
    reference: Number | None = None
    count: Count
    other_count: Count | None = None
    comparable: bool


class Measured(Section):
    """What was measured of a policy, on which cases.

    Arguments:
        latency: Whole pipeline call under the policy.
        reference_latency: The bare pipeline at the reference's step count, interleaved with the former.
        loop_latency: The denoising loop alone, under the policy.
        reference_loop_latency: The denoising loop alone, of the bare pipeline.
        speedup: Median of the paired ratios reference / policy.
        speedup_low: Lower end of its 95 % interval.
        speedup_high: Upper end of its 95 % interval.
        loop_speedup: The same of the denoising loops.
        latency_interval: Wanted half width of the speed-up's interval, over its value.
        latency_interval_reached: Whether it became as narrow before the most timed calls were done.
        first_call_ms: The first call under the policy, with what is done once: graphs recorded, code compiled.
        throughput: Pictures per second at a batch of its own.
        energy: Energy per picture; None where no GPU tells.
        conditions: What went on beside the timed calls.
        quality: Quality figures against the reference pictures.
        sets: Figures between the two sets of pictures.
        floors: How far pictures are from the reference without the policy's doing.
        validity: How close it comes in other calls.
        cache_bytes: Bytes that the run's stored tensors hold at their most.
        peak_bytes: Peak device memory of a call; None where the device does not tell.
        reference_peak_bytes: The same of the bare pipeline.
        cases: Digest of the cases.
        case_count: Number of cases.
        held_out: Whether the search never saw these cases.
        within_limits: Whether the limits asked for at export were kept; None if there were none.
    """

    latency: Latency
    reference_latency: Latency
    loop_latency: Latency | None = None
    reference_loop_latency: Latency | None = None
    speedup: Number
    speedup_low: Number
    speedup_high: Number
    loop_speedup: Figure | None = None
    latency_interval: Number | None = None
    latency_interval_reached: bool | None = None
    first_call_ms: Number | None = None
    throughput: Throughput | None = None
    energy: Energy | None = None
    conditions: Conditions | None = None
    quality: tuple[Quality, ...]
    sets: tuple[SetQuality, ...] = ()
    floors: tuple[Floor, ...] = ()
    validity: tuple[Validity, ...] = ()
    cache_bytes: Count
    peak_bytes: Count | None = None
    reference_peak_bytes: Count | None = None
    cases: str
    case_count: Count
    held_out: bool
    within_limits: bool | None = None


class Machine(Section):
    """The machine that a policy was measured on, and how the network was launched there; None where a value is unknown.

    Arguments:
        device: The device's own name.
        memory_bytes: The device's memory; the system's for a CPU.
        compute_capability: Of an NVIDIA GPU, as ``9.0``.
        clock_mhz: Highest clock of the GPU's multiprocessors, in MHz.
        memory_clock_mhz: Highest clock of the GPU's memory, in MHz.
        driver: Version of the GPU's driver.
        torch: Version.
        diffusers: Version.
        cuda: Version that torch was built with.
        cudnn: Version.
        cpu: The processor's name.
        cores: Threads that torch computes with on a CPU; else the system's processors.
        attention: What computes attention: diffusers' processors and backend, and torch's kernels that may be chosen.
        tf32: What may be computed with TF32's ten bits of mantissa: ``matmul``, ``conv``, both or nothing.
        determinism: What was asked of torch: ``deterministic``, ``cudnn_deterministic``, ``cudnn_benchmark``.
        dtype: Of the network's numbers.
        batch: Pictures per call.
        height: Of the pictures, in pixels.
        width: Of the pictures, in pixels.
        compile: How the user compiled the network.
        capture: How the network was launched under the policy.
    """

    device: str
    memory_bytes: Count | None = None
    compute_capability: str | None = None
    clock_mhz: Count | None = None
    memory_clock_mhz: Count | None = None
    driver: str | None = None
    torch: str
    diffusers: str
    cuda: str | None = None
    cudnn: str | None = None
    cpu: str | None = None
    cores: Count | None = None
    attention: str | None = None
    tf32: tuple[str, ...] | None = None
    determinism: tuple[str, ...] | None = None
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
