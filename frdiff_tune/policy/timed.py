"""The sections of a policy file that say what was timed, how surely, and what went on beside."""

from frdiff_tune.policy.section import Count, Number, Section


class Latency(Section):
    """Wall time of one pipeline call, in milliseconds: median with its 95 % interval over ``count`` runs."""

    median_ms: Number
    low_ms: Number
    high_ms: Number
    count: Count
    samples_ms: tuple[Number, ...] | None = None


class Figure(Section):
    """A figure with the ends of its 95 % interval, in its own unit."""

    value: Number
    low: Number
    high: Number


class Throughput(Section):
    """Pictures per second when a call makes many, policy and reference timed in turn.

    Arguments:
        batch: Pictures per call.
        images_per_s: Under the policy.
        reference_images_per_s: The bare pipeline at the reference's step count.
        speedup: Median of the paired ratios policy / reference.
        count: Timed calls of each.
        latency_interval_reached: Whether the speed-up's interval became as narrow as was asked for.
    """

    batch: Count
    images_per_s: Figure
    reference_images_per_s: Figure
    speedup: Figure
    count: Count
    latency_interval_reached: bool


class Energy(Section):
    """What the GPU used per picture, in J, idle power included: its own counter over all timed calls."""

    per_image_j: Number
    reference_per_image_j: Number


class Conditions(Section):
    """What went on beside the timed calls; None where the machine does not tell.

    Arguments:
        settled: Whether the last calls before the timed ones agreed within 5 %.
        repeated: Pairs of calls that were taken again because something went on beside them.
        disturbed: Pairs that count although something did, as it went on when they were taken again.
        disturbances: What it was: ``cpu_load`` and ``gpu_load`` (other processes), ``hot``, ``slowdown``, ``power_brake``.
        cpu_others_cores: Cores that other processes kept busy, on average.
        cpu_load_average: Processes that wanted to run in the last minute, these among them.
        gpu_clock_mhz: Lowest and highest clock of the GPU's multiprocessors, in MHz.
        gpu_memory_clock_mhz: Clock of the GPU's memory, in MHz.
        gpu_temperature_c: Highest temperature of the GPU, in degrees Celsius.
        gpu_power_w: Highest power of the GPU, in W.
        gpu_throttling: Why the GPU's clocks were held back; a ``power_cap`` is its own limit and disturbs nothing.
        gpu_others_load: Largest share of the GPU's multiprocessors that other processes took, in [0, 1].
        gpu_others_bytes: Most GPU memory that other processes held.
    """

    settled: bool
    repeated: Count
    disturbed: Count
    disturbances: tuple[str, ...] = ()
    cpu_others_cores: Number | None = None
    cpu_load_average: Number | None = None
    gpu_clock_mhz: tuple[Number, Number] | None = None
    gpu_memory_clock_mhz: Number | None = None
    gpu_temperature_c: Number | None = None
    gpu_power_w: Number | None = None
    gpu_throttling: tuple[str, ...] = ()
    gpu_others_load: Number | None = None
    gpu_others_bytes: Count | None = None
