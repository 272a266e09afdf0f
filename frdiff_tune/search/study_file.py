"""The study file: one question, as TOML."""

from collections.abc import Callable
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, ConfigDict, Field, field_validator, model_validator

from frdiff_tune.measure import IMAGES, PAIRED, SETS
from frdiff_tune.runtime import CAPTURES, Capture
from frdiff_tune.runtime.own_module import own_module
from frdiff_tune.search.limit import Limit
from frdiff_tune.search.objective import OBJECTIVES, check_objectives
from frdiff_tune.search.samplers import SAMPLERS, SINGLE
from frdiff_tune.search.starting import KINDS
from frdiff_tune.search.toml_file import Section, nearest

OURS = ("generator", "output_type", "return_dict", "prompt", "class_labels", "callback_on_step_end")
"""Call arguments that the measurement gives itself."""


def _filled(value: str) -> str:
    if not value.strip():
        raise ValueError("must not be empty. Fill it in, as in the shipped studies.")
    return value


Text = Annotated[str, AfterValidator(_filled)]
Positive = Annotated[int, Field(ge=1)]


class ModelSection(Section):
    """Where the pipeline comes from; empty strings leave a choice to the loader.

    Arguments:
        source: Hub id, local folder, ``demo:emoji`` or ``package.module:factory``.
        revision: On the hub.
        variant: File variant, as ``fp16``.
        dtype: ``float32``, ``float16`` or ``bfloat16``; empty: the files' own.
        device: ``cuda`` or ``cpu``; empty: the GPU if there is one.
        pipeline: Class to load it as, as ``StableDiffusionImg2ImgPipeline``; empty: the model's own.
        extensions: Modules of your own, as ``package.module``, that are imported before the rest of the study is read: what
            they add to the known architectures, encodings and metrics the study may name.
    """

    source: Text
    revision: str = ""
    variant: str = ""
    dtype: Literal["", "float32", "float16", "bfloat16"] = ""
    device: str = ""
    pipeline: str = ""
    extensions: tuple[str, ...] = ()

    @field_validator("extensions")
    @classmethod
    def _imported(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for name in value:
            try:
                own_module(name)
            except Exception as error:
                raise ValueError(
                    f"must name modules that can be imported but {name!r} cannot: {type(error).__name__}: {error}. Run from "
                    f"the folder that holds the module, or install it."
                ) from error
        return value


class CallSection(Section):
    """How the user will call the pipeline; other keys are arguments of its ``__call__``.

    Arguments:
        num_inference_steps: The reference's step count.
        batch: Pictures per call, which latency is measured at.
    """

    model_config = ConfigDict(frozen=True, extra="allow", strict=True)

    num_inference_steps: Annotated[int, Field(ge=2, le=1000)]
    batch: Positive = 1

    @property
    def arguments(self) -> dict[str, Any]:
        """The fixed call arguments besides step count and batch, such as ``guidance_scale``."""
        return dict(self.model_extra or {})


class CasesSection(Section):
    """Which pictures are compared.

    Arguments:
        search: File of the cases that the search uses; a line is a case.
        held_out: File of the cases that only an export uses.
        search_count: Cases to search with.
        held_out_count: Cases to export with.
        quality_batch: Pictures made per call while only their quality counts.
    """

    search: Text
    held_out: Text
    search_count: Positive = 16
    held_out_count: Positive = 32
    quality_batch: Positive = 8


class MeasureSection(Section):
    """How surely an exported policy's figures and a study's floor are measured; trials do not depend on it.

    Arguments:
        latency_interval: Calls are timed until the speed-up's 95 % interval is this narrow: half its width over its value.
        latency_calls: Timed calls of policy and reference each, at most; the file says when the interval stayed wider.
        throughput_batch: Pictures per call at which pictures per second are measured too; absent: not measured.
        metrics: What is measured of an exported policy's pictures, beside LPIPS and what the limits name; those between sets
            are measured of the finalists as well.
        finalists: Points near the one that is wanted which are measured again, with fresh seeds of the search prompts, before
            one of them is exported; 1: the search's own figures decide.
        floor_count: Held-out cases on which the floors are measured: what the launch mode alone changes, and what four times
            the steps would; 0: not measured.
        search_floor_count: Search cases on which the study's own floor is measured when it begins, each with four times the
            reference's steps: the LPIPS below which closeness is not worth time; 0: not measured.
        weights: Folder in which the weights of metrics are looked for first; empty: the torch hub cache only.
        unpaired: What metrics between sets compare an exported policy's pictures with, beside the reference of the same seeds:
            ``"seeds"``, the reference's pictures of other seeds, or a folder of one's own; empty: nothing.
    """

    latency_interval: Annotated[float, Field(gt=0, lt=1)] = 0.02
    latency_calls: Annotated[int, Field(ge=8)] = 64
    throughput_batch: Positive | None = None
    metrics: tuple[str, ...] = ("psnr", "ssim", "latent_l2")
    finalists: Positive = 3
    floor_count: Annotated[int, Field(ge=0)] = 8
    search_floor_count: Annotated[int, Field(ge=0)] = 32
    weights: str = ""
    unpaired: str = ""

    @field_validator("metrics")
    @classmethod
    def _known_metrics(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for name in value:
            if name not in (*PAIRED, *SETS):
                raise ValueError(f"must name metrics that are known but got {name!r}. {nearest(name, (*PAIRED, *SETS))}")
        return value


class SpaceSection(Section):
    """Which search space.

    Arguments:
        name: A shipped name, or the path of a space file.
    """

    name: Text


class SearchSection(Section):
    """What is searched for, how, and for how long.

    Arguments:
        objectives: One to three figures that are made small, or large where higher values are better: of quality, as ``lpips``
            or ``psnr_median``, and of cost: ``latency_ms``, ``speedup`` or ``images_per_s``, ``cache_mib``, ``peak_mib`` and
            ``energy_j``. With one, the limits say what must not be paid for it.
        race: Chance, at most, that a trial is stopped early which nothing on the front beats; 0 stops none. A trial is stopped
            between blocks of cases when another one is no slower and surely closer to the reference on the same cases.
        limits: Bounds on figures of quality or cost, as ``lpips <= 0.05``, ``psnr >= 30``, ``speedup >= 1.5`` or
            ``cache_mib <= 500``.
        sampler: Optuna's sampler.
        seed: Of the sampler.
        trials: Trials of the whole study.
        minutes: Wall time of one run of it, whichever comes first; it counts from the first trial, when references are ready.
        starting_points: What is measured before the sampler proposes anything: ``fewer-steps``, ``timestep-lists``, ``frdiff``
            and ``jump`` are known policies, ``fitted``, ``blocks`` and ``autofr`` our own; absent: what suits the sampler;
            empty: only the full policy.
        capture: How the network is launched: ``eager``, ``cuda_graphs`` or ``compile``; more than one are searched.
        storage: SQLAlchemy URL of the study's database.
    """

    objectives: tuple[str, ...] = OBJECTIVES
    race: Annotated[float, Field(ge=0, lt=1, strict=False)] = 0.05
    limits: tuple[str, ...] = ()
    sampler: str = "auto"
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    trials: Positive = 80
    minutes: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    starting_points: tuple[str, ...] | None = None
    capture: tuple[Capture, ...] = ("eager",)
    storage: Text

    @field_validator("objectives")
    @classmethod
    def _known_objectives(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return check_objectives(value)

    @field_validator("limits")
    @classmethod
    def _readable_limits(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(str(Limit.parse(text)) for text in value)

    @field_validator("sampler")
    @classmethod
    def _known_sampler(cls, value: str) -> str:
        if value not in SAMPLERS:
            raise ValueError(f"must name a sampler but got {value!r}. {nearest(value, SAMPLERS)}")
        return value

    @field_validator("starting_points")
    @classmethod
    def _known_kinds(cls, value: tuple[str, ...] | None) -> tuple[str, ...] | None:
        for name in value or ():
            if name not in KINDS:
                raise ValueError(f"must name kinds of starting points but got {name!r}. {nearest(name, KINDS)}")
        return value

    @model_validator(mode="after")
    def _suits(self) -> Self:
        if self.sampler in SINGLE and len(self.objectives) > 1:
            raise ValueError(
                f"sampler must be one for {len(self.objectives)} objectives but got {self.sampler!r}, which knows one. "
                f'Name one objective, or use "auto".'
            )
        return self

    @field_validator("capture", mode="before")
    @classmethod
    def _known_launch(cls, value: Any) -> Any:  # noqa: ANN401
        names = list(value) if isinstance(value, (list, tuple)) else []
        for name in names:
            if name not in CAPTURES:
                raise ValueError(f"must name ways of launching but got {name!r}. {nearest(str(name), CAPTURES)}")
        if isinstance(value, (list, tuple)) and (not names or len(set(names)) < len(names)):
            raise ValueError(f'must hold at least one way, each once, but got {names}. Use ["eager"].')
        return value


class StudyFile(Section):
    """A study file, table by table."""

    model: ModelSection
    call: CallSection
    cases: CasesSection
    space: SpaceSection
    search: SearchSection
    measure: MeasureSection = MeasureSection()

    @field_validator("call")
    @classmethod
    def _leaves_ours(cls, call: CallSection) -> CallSection:
        taken: Callable[[str], bool] = {*OURS, *IMAGES}.__contains__
        for name in filter(taken, call.arguments):
            raise ValueError(f"must not hold {name!r}: it comes from the cases or from the measurement. Remove it.")
        return call
