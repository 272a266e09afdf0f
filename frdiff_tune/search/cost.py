"""What a study will need, said before it starts."""

from dataclasses import dataclass
from typing import Any

from frdiff_tune.measure import measure_pace, picture_size
from frdiff_tune.measure.floors import FINER, finer_steps
from frdiff_tune.search import setting
from frdiff_tune.search.forecasts import needs_recording
from frdiff_tune.search.study import Study

NFE_SHARE = 0.45
"""Mean share of the reference's network calls in a study's trials; .42 to .48 on the shipped spaces."""
TIMED = 4
"""Timed calls of a trial."""
ANCHOR_STEPS = 5
LOADED_MIB = 60.0
"""LPIPS backbone, database and figures, in MiB."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a study is expected to need.

    Arguments:
        pictures: Pictures drawn: references, those of the floor and those that are recorded, and those of all trials.
        minutes: Wall time: preparing the references, then trials within the budget.
        megabytes: On the disk, in MiB: reference pictures and database.
        trials: Trials that fit into the budget.
    """

    pictures: int
    minutes: float
    megabytes: float
    trials: int


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
    nfe = round(NFE_SHARE * T)
    recorded = setting.RECORDED if needs_recording(study.space.forecast.features) else 0
    followed = min(setting.FOLLOWED, len(shown)) if study.space.forecast.fit[1] > 0 else 0
    bare = len(shown) + recorded + followed
    floor = min(study.file.measure.search_floor_count, len(shown)) if finer_steps(pipe, call.num_inference_steps) else 0
    reference_ms = quality.pictures_ms(bare, T) + quality.pictures_ms(floor, FINER * T) + 3 * timed.call_ms(T)
    trial_ms = quality.pictures_ms(len(shown), nfe) + TIMED * (timed.call_ms(nfe) + timed.call_ms(ANCHOR_STEPS))
    fitting = min(wanted, max(int(limit * 60_000 / trial_ms), 1)) if limit < float("inf") else wanted
    height, width = picture_size(pipe, call.arguments)
    return Estimate(
        pictures=bare + floor + len(shown) * fitting,
        minutes=reference_ms / 60_000 + min(fitting * trial_ms / 60_000, limit),
        megabytes=(len(shown) + floor) * height * width * 3 / 2**20 + fitting * 0.02,
        trials=fitting,
    )
