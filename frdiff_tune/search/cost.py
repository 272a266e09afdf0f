"""What a study will need, said before it starts."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from frdiff_tune.measure import latent_size, measure_pace, picture_size
from frdiff_tune.measure.floors import FINER, finer_steps
from frdiff_tune.measure.trajectories import guidance_of
from frdiff_tune.runtime import find_denoiser
from frdiff_tune.runtime.families import Family
from frdiff_tune.search import setting
from frdiff_tune.search.agenda import FITTED_FIRST, SELDOM
from frdiff_tune.search.fitted_part import fit_refusal
from frdiff_tune.search.fitting import QUICK_CASES, FitOptions, states_bytes
from frdiff_tune.search.forecasts import needs_recording
from frdiff_tune.search.space_file import FITTED
from frdiff_tune.search.study import Study

NFE_SHARE = 0.45
"""Mean share of the reference's network calls in a study's trials; .42 to .48 on the shipped spaces where nothing is fitted."""
FITTED_SHARE = 0.3
"""The same of a study that fits steps: the guess of two runs of ``demo-quick``."""
TIMED = 4
"""Timed calls of a trial."""
ANCHOR_STEPS = 5
UNSHARED = 0.6
"""Share of a fit's network calls that fits of neighbouring schedules have not made before it."""
LOADED_MIB = 60.0
"""LPIPS backbone, database and figures, in MiB."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a study is expected to need.

    Arguments:
        pictures: Pictures drawn: references, those of the floor and those that are recorded, and those of all trials.
        minutes: Wall time: preparing the references, then trials within the budget.
        megabytes: On the disk, in MiB: reference pictures, the reference's states and database.
        trials: Trials that fit into the budget.
        states: Of ``megabytes``, the reference's states that weights are fitted to, in MiB; 0 where none are.
        fits: Fits of weights, each a run of the fit's cases without decoding.
    """

    pictures: int
    minutes: float
    megabytes: float
    trials: int
    states: float = 0.0
    fits: int = 0


def estimate(study: Study, pipe: Any, *, trials: int | None = None, minutes: float | None = None) -> Estimate:  # noqa: ANN401
    """Returns what a study will need, from a few steps of the bare pipeline, which take some seconds.

    Arguments:
        study: The question.
        pipe: Its pipeline.
        trials: Trials; None: as the study says.
        minutes: Time budget; None: as the study says.

    Raises:
        MeasureError: If the device does not count what the study names.
    """
    setting.check_counters(study, pipe)
    call, cases = study.file.call, study.file.cases
    shown = setting.search_cases(study, pipe)
    wanted = trials or study.file.search.trials
    limit = minutes if minutes is not None else study.file.search.minutes or float("inf")
    quality = measure_pace(pipe, shown, call.arguments, cases.quality_batch)
    timed = quality if call.batch == cases.quality_batch else measure_pace(pipe, shown, call.arguments, call.batch)
    T = setting.walk_of(study, pipe, shown).T(call.num_inference_steps)
    recorded = setting.RECORDED if needs_recording(study.space.forecast.features) else 0
    followed = min(setting.FOLLOWED, len(shown)) if study.space.forecast.fit[1] > 0 else 0
    bare = len(shown) + recorded + followed
    floor = min(study.file.measure.search_floor_count, len(shown)) if finer_steps(pipe, call.num_inference_steps) else 0
    fitted = _fit_cases(study, pipe, len(shown))
    per_trial, nfe = (study.space.fit.tries, round(FITTED_SHARE * T)) if fitted else (0, round(NFE_SHARE * T))
    batch = cases.quality_batch
    step_ms, quick_ms = (-(-count // batch) * quality.step_ms for count in (fitted, min(fitted, QUICK_CASES)))  # of all cases
    reference_ms = quality.pictures_ms(bare, T) + quality.pictures_ms(floor, FINER * T) + 3 * timed.call_ms(T)
    trial_ms = quality.pictures_ms(len(shown), nfe) + TIMED * (timed.call_ms(nfe) + timed.call_ms(ANCHOR_STEPS))
    fits_ms = (per_trial * quick_ms + step_ms) * UNSHARED * nfe if fitted else 0.0
    starts = FITTED_FIRST if fitted and wanted > SELDOM else 0
    begun = starts + 1  # no neighbours of the starts and of the full run are fitted
    left_ms = limit * 60_000 - begun * trial_ms
    able = begun + left_ms / (trial_ms + fits_ms) if left_ms > 0 else limit * 60_000 / trial_ms
    fitting = min(wanted, max(int(able), 1)) if limit < float("inf") else wanted
    fits = (per_trial + 1) * max(fitting - begun, 0) + min(starts, fitting) if fitted else 0
    height, width = picture_size(pipe, call.arguments)
    states = states_bytes(T, fitted * _copies(pipe, call.arguments), latent_size(pipe, call.arguments)) / 2**20
    return Estimate(
        pictures=bare + floor + len(shown) * fitting,
        minutes=reference_ms / 60_000 + min((fitting * trial_ms + max(fitting - begun, 0) * fits_ms) / 60_000, limit),
        megabytes=(len(shown) + floor) * height * width * 3 / 2**20 + states + fitting * 0.02,
        trials=fitting,
        states=states,
        fits=fits,
    )


def _fit_cases(study: Study, pipe: Any, count: int) -> int:  # noqa: ANN401
    """Returns on how many of the search cases weights are fitted; 0 where none are."""
    call, section = study.file.call, study.space.fit
    fitted, unknowns = min(section.cases, count), FitOptions(memory=section.memory).unknowns
    if FITTED not in study.space.steps.scheduler or fitted <= unknowns:
        return 0
    return 0 if fit_refusal(pipe, call.num_inference_steps, call.arguments) else fitted


def _copies(pipe: Any, call: Mapping[str, Any]) -> int:  # noqa: ANN401
    """Returns how many states a case has: two where the scheduler walks a guidance pair as it is."""
    family = find_denoiser(pipe).family
    pairs = type(family).pairs_itself is not Family.pairs_itself
    return 2 if pairs and guidance_of(pipe, call) > 1 else 1
