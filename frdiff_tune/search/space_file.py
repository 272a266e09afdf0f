"""The space file: what may vary for one model family, as TOML."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, field_validator, model_validator

from frdiff_tune.policy.mixing import BIAS_STEP, MIXING, round_bias, round_slope
from frdiff_tune.search.encodings import ENCODINGS
from frdiff_tune.search.forecasts import FORECASTS, HOLD
from frdiff_tune.search.toml_file import Section, nearest

Params = Mapping[str, Any]
"""A value per parameter of a space."""
STRENGTH = "forecast.strength"
"""The parameter by which a study varies the strength of a forecast."""
FEATURES = "forecast.features"
"""The parameter by which a study varies how features are forecast."""
FIT = "forecast.fit"
"""The parameter by which a study varies how far jump scores go towards fitted ones; with three parts, its beginning."""
FIT_STEP = 0.25
"""Grid of that; spaces may have a coarser one."""
FITTED = "fitted"
"""The scheduler whose weights are solved for."""
BETWEEN = "fit.between"
"""The parameter by which a study varies how many reuse steps stand between two keyframes of fitted steps."""
CAPTURE = "capture"
"""The parameter by which a study varies how the network is launched."""
STRENGTH_STEP = 0.05
"""Grid of the strength of a forecast."""
SPACINGS = ("leading", "linspace", "trailing")
"""How diffusers' schedulers spread their timesteps."""


def _ordered(value: tuple[float, float]) -> tuple[float, float]:
    if value[0] > value[1]:
        raise ValueError(f"must be [least, greatest] but got {list(value)}. Swap the two.")
    return value


def _filled(value: tuple[Any, ...]) -> tuple[Any, ...]:
    if not value:
        raise ValueError("must hold at least one entry but got []. Name one, or leave the key out.")
    if len(set(value)) != len(value):
        raise ValueError(f"must not repeat itself but got {list(value)}. Name each once.")
    return value


def _multiple_of(step: float) -> AfterValidator:
    """Returns the check that a number, or both of two, are multiples of a step."""

    def check(value: float | tuple[float, float]) -> float | tuple[float, float]:
        for each in value if isinstance(value, tuple) else (value,):
            if (near := _nearest_multiple(each, step)) != each:
                raise ValueError(f"must be a multiple of {step} but got {each}. Use {near or step}.")
        return value

    return AfterValidator(check)


def _nearest_multiple(value: float, step: float) -> float:
    return round(round(value / step) * step, 2) + 0.0


def round_fit(value: float) -> float:
    """Returns the multiple of ``FIT_STEP`` nearest to ``value``."""
    return _nearest_multiple(value, FIT_STEP)


def round_strength(value: float) -> float:
    """Returns the multiple of ``STRENGTH_STEP`` nearest to ``value``."""
    return _nearest_multiple(value, STRENGTH_STEP)


def _even(section: Any, *names: str) -> None:  # noqa: ANN401
    """Checks that bounds lie a whole number of grid steps apart.

    Raises:
        ValueError: If not.
    """
    for name in names:
        (low, high), grid = getattr(section, name), getattr(section, f"{name}_grid")
        steps = (high - low) / grid
        if abs(steps - round(steps)) > 1e-6:
            near = round(low + max(round(steps), 1) * grid, 6)
            raise ValueError(f"{name} must span whole steps of {grid} but got {[low, high]}. Use {[low, near]}.")


Count = Annotated[int, Field(ge=1, le=1000)]
Counts = Annotated[tuple[Count, Count], AfterValidator(_ordered)]
Fraction = Annotated[float, Field(ge=0, le=1, strict=False)]
Slope = Annotated[float, Field(gt=0, le=1000, strict=False)]
Exponent = Annotated[float, Field(gt=0, le=10, strict=False)]
Last = Annotated[int, Field(ge=0, le=8)]
Every = Annotated[int, Field(ge=0, le=1000)]
Strength = Annotated[float, Field(ge=-1, le=1, strict=False)]
Names = Annotated[tuple[str, ...], AfterValidator(_filled)]


class KeyframesSection(Section):
    """Where keyframes may be.

    Arguments:
        encodings: How a keyframe set is written: ``uniform``, ``power`` (a power law of the step), ``phases`` (three intervals)
            or ``keyframes`` (a free set).
        interval: Bounds of intervals, in steps.
        count: Bounds of the size of free sets and power laws.
        count_grid: Distance of neighbouring sizes of power laws.
        exponent: Bounds of the exponent of power laws: 1 spreads keyframes evenly, a greater one makes them dense early.
        exponent_grid: Distance of neighbouring exponents.
        last: Bounds of how many short gaps a power law ends in: 3 ends in gaps of 3, 2 and 1 step.
        last_grid: Distance of neighbouring numbers of them.
        every: Between keyframes each group that reuses computes at every so many steps, "this group every 2, that one every 5":
            the choices of each group; 0 computes at keyframes only.
    """

    encodings: Names = ("uniform", "keyframes")
    interval: Counts = (1, 10)
    count: Counts = (4, 50)
    count_grid: Count = 1
    exponent: Annotated[tuple[Exponent, Exponent], AfterValidator(_ordered)] = (0.5, 3.0)
    exponent_grid: Exponent = 0.1
    last: Annotated[tuple[Last, Last], AfterValidator(_ordered)] = (0, 3)
    last_grid: Annotated[int, Field(ge=1, le=8)] = 1
    every: Annotated[tuple[Every, ...], AfterValidator(_filled)] = (0,)

    @model_validator(mode="after")
    def _on_their_grids(self) -> Self:
        _even(self, "exponent", "last")
        return self

    @field_validator("encodings")
    @classmethod
    def _known(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for name in value:
            if name not in ENCODINGS:
                raise ValueError(f"must name encodings but got {name!r}. {nearest(name, ENCODINGS)}")
        return value


class StepsSection(Section):
    """How many steps, and by which solver.

    Arguments:
        num_inference_steps: Bounds of the step count; what lies above the reference's is cut off.
        grid: Distance of neighbouring step counts.
        scheduler: Class names of diffusers' schedulers; ``fitted``: a part of the reference's own steps, with weights that are
            solved for on the policy's own states (the table ``fit``).
        spacing: How timesteps are spread, for schedulers that have a choice.
    """

    num_inference_steps: Counts = (8, 50)
    grid: Count = 1
    scheduler: Names = ("DDIMScheduler",)
    spacing: Names = ("trailing",)

    @field_validator("scheduler")
    @classmethod
    def _not_alone(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if value == (FITTED,):
            raise ValueError('must name a scheduler of diffusers beside "fitted" but got none. Add the model\'s own.')
        return value

    @field_validator("spacing")
    @classmethod
    def _known(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for name in value:
            if name not in SPACINGS:
                raise ValueError(f"must name spacings but got {name!r}. {nearest(name, SPACINGS)}")
        return value


class FitSection(Section):
    """How the weights of ``fitted`` steps are solved for.

    Arguments:
        cases: The first so many search cases are fitted on: 48 do not overfit, 8 do.
        memory: Full steps whose predictions a step weighs at most, with those of the reuse steps between them.
        ridge: Pull towards the first-order solver, as a share of the predictions' energy.
        between: Steps between two of the keyframes, at which the chosen groups reuse their features: what a trial may have.
        tries: Schedules that are fitted for a proposal; the nearest one by latent error is measured. 0: the proposal as it is.
    """

    cases: Annotated[int, Field(ge=2, le=4096)] = 48
    memory: Annotated[int, Field(ge=1, le=8)] = 3
    ridge: Annotated[float, Field(ge=0, le=1e6, strict=False)] = 1e-3
    between: Annotated[tuple[Annotated[int, Field(ge=0, le=16)], ...], AfterValidator(_filled)] = (0, 1, 2)
    tries: Annotated[int, Field(ge=0, le=1000)] = 8


class MixingSection(Section):
    """How much of a step's own score counts between keyframes.

    Arguments:
        families: Names of lam families.
        slope: Bounds of their slope, at most two significant digits each.
        bias: Bounds of their bias, multiples of 0.01.
    """

    families: Names = ("none", "jump")
    slope: Annotated[tuple[Slope, Slope], AfterValidator(_ordered)] = (5.0, 100.0)
    bias: Annotated[tuple[Fraction, Fraction], AfterValidator(_ordered)] = (0.0, 1.0)

    @field_validator("families")
    @classmethod
    def _known(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for name in value:
            if name not in MIXING:
                raise ValueError(f"must name lam families but got {name!r}. {nearest(name, MIXING)}")
        return value

    @field_validator("slope")
    @classmethod
    def _short(cls, value: tuple[float, float]) -> tuple[float, float]:
        for bound in value:
            if round_slope(bound) != bound:
                raise ValueError(f"must have two significant digits but got {bound}. Use {round_slope(bound):g}.")
        return value

    @field_validator("bias")
    @classmethod
    def _on_grid(cls, value: tuple[float, float]) -> tuple[float, float]:
        for bound in value:
            if round_bias(bound) != bound:
                raise ValueError(f"must be a multiple of {BIAS_STEP} but got {bound}. Use {round_bias(bound)}.")
        return value


class ForecastSection(Section):
    """What stands in for a score that is jumped, and for features that are reused.

    Arguments:
        order: Degrees of extrapolation; 0 holds the last keyframe's score.
        strength: Least and greatest share of the way from the held score to the extrapolated one; below 0 older scores
            count, too.
        strength_grid: Distance of neighbouring strengths.
        fit: Least and greatest share of the way from that forecast to weights that are fitted to full runs of the first search
            cases, which are recorded once. 0 fits nothing.
        fit_grid: Distance of neighbouring shares.
        fit_parts: 3: a share each for the first, second and last third of the run; 1: one for all of it.
        variable: What scores are stored and forecast as.
        features: How the features of groups that are reused are forecast: ``hold`` keeps the newest; ``taylor-1`` and the
            like know only step numbers; ``fitted-1`` to ``fitted-3`` weigh as many computing steps, fitted to full runs of
            the first search cases, which are recorded once. A group is stored as many times as computing steps are weighed.
    """

    order: Annotated[tuple[Annotated[int, Field(ge=0, le=4)], ...], Field(min_length=1)] = (0,)
    strength: Annotated[tuple[Strength, Strength], AfterValidator(_ordered), _multiple_of(STRENGTH_STEP)] = (1.0, 1.0)
    strength_grid: Annotated[float, Field(gt=0, le=2, strict=False), _multiple_of(STRENGTH_STEP)] = STRENGTH_STEP
    fit: Annotated[tuple[Fraction, Fraction], AfterValidator(_ordered), _multiple_of(FIT_STEP)] = (0.0, 0.0)
    fit_grid: Annotated[float, Field(gt=0, le=1, strict=False), _multiple_of(FIT_STEP)] = FIT_STEP
    fit_parts: Literal[1, 3] = 3
    variable: Annotated[tuple[Literal["output", "epsilon", "sample"], ...], AfterValidator(_filled)] = ("output",)
    features: Names = (HOLD,)

    @model_validator(mode="after")
    def _on_their_grids(self) -> Self:
        _even(self, "strength", "fit")
        return self

    @property
    def fits(self) -> tuple[str, ...]:
        """The parameters that say how far jump scores go towards fitted ones, one per part of the run."""
        return (FIT,) if self.fit_parts == 1 else tuple(f"{FIT}_{third}" for third in ("early", "middle", "late"))

    @field_validator("features")
    @classmethod
    def _known(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for name in value:
            if name not in FORECASTS:
                raise ValueError(f"must name forecasts but got {name!r}. {nearest(name, FORECASTS)}")
        return value


class SpaceFile(Section):
    """A space file, table by table.

    Arguments:
        groups: Group name -> patterns of site names; a pattern without a dot may name one of the family's own groups.
        keyframes: Where keyframes may be.
        steps: How many steps, and by which solver.
        fit: How weights of fitted steps are solved for.
        mixing: The lam families.
        forecast: The jump score, and the features that are reused.
    """

    groups: dict[str, Names] = Field(default_factory=dict)
    keyframes: KeyframesSection = KeyframesSection()
    steps: StepsSection = StepsSection()
    fit: FitSection = FitSection()
    mixing: MixingSection = MixingSection()
    forecast: ForecastSection = ForecastSection()

    @field_validator("groups")
    @classmethod
    def _named(cls, value: dict[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
        for name in value:
            if name == "score" or not name.replace("_", "").replace("-", "").isalnum():
                raise ValueError(f"must have names of letters, digits, - and _, not `score`, but got {name!r}. Rename it.")
        return value
