"""The floor of a study: how far its reference is from its own limit, the same run with four times the steps.

Measured once when a study begins, in mean LPIPS on some search cases, and stored with it: closeness below is not worth time, so
the sampler, the hypervolume and the choice of a policy count an LPIPS below the floor as the floor.
"""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import optuna

from frdiff_tune.errors import MeasureError
from frdiff_tune.measure.floors import FINER
from frdiff_tune.policy import Floor
from frdiff_tune.search.study import Study
from frdiff_tune.search.volume import min_lpips

if TYPE_CHECKING:
    from frdiff_tune.search.measures import Measures

FLOOR = "frdiff:floor"
"""Attribute of Optuna's study: the floor's figures, or under ``ABSENCE`` why there is none."""
ABSENCE = "absence"
BEGUN = "frdiff:reference_latency"
"""Attribute that a study has from its first trial on."""
UNKNOWN = "the study was begun by a version that did not measure it"


def measure_floor(study: Study, opened: optuna.Study, evaluator: "Measures") -> Iterator[tuple[int, int]]:
    """Measures the floor of a study that begins and stores it; one that has begun keeps what it has.

    Arguments:
        study: The question.
        opened: Its trials.
        evaluator: What measures; prepared.

    Yields:
        What is done and what there is to do, in pictures.
    """
    stored, count = opened.user_attrs, study.file.measure.search_floor_count
    if FLOOR in stored or BEGUN in stored:
        return
    value: dict[str, Any] = {ABSENCE: "`measure.search_floor_count` is 0"}
    if count:
        try:
            floor = yield from evaluator.floor(count)
            steps = FINER * study.file.call.num_inference_steps
            absence = f"the scheduler cannot run {steps} steps, {FINER} times the reference's"
            value = {ABSENCE: absence} if floor is None else floor.model_dump(mode="json")
        except MeasureError as error:
            value = {ABSENCE: f"the run with four times the steps failed ({error})"}
    opened.set_user_attr(FLOOR, value)


def floor_of(attributes: Mapping[str, Any]) -> Floor | None:
    """Returns a study's floor; None where there is none.

    Arguments:
        attributes: Of Optuna's study.
    """
    value = attributes.get(FLOOR, {})
    return Floor.model_validate(value) if value and ABSENCE not in value else None


def floor_absence(attributes: Mapping[str, Any]) -> str:
    """Returns why a study has no floor; empty where it has one.

    Arguments:
        attributes: Of Optuna's study.
    """
    return "" if floor_of(attributes) else str(attributes.get(FLOOR, {}).get(ABSENCE, UNKNOWN))


def searched_min_lpips(study: Study, opened: optuna.Study) -> float:
    """Returns the mean LPIPS below which a study's search looks for nothing.

    Arguments:
        study: The question.
        opened: Its trials.
    """
    floor = floor_of(opened.user_attrs)
    return min_lpips(None if floor is None else floor.value, study.limits)
