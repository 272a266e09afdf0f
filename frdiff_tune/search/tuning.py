"""The search itself, for a study and its pipeline; yields as it goes and may be stopped at any time."""

import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from optuna.storages import RDBStorage

from frdiff_tune.measure import cases_digest
from frdiff_tune.measure.references import unwatched
from frdiff_tune.search import setting, storage
from frdiff_tune.search.floor import measure_floor
from frdiff_tune.search.ledger import Ledger
from frdiff_tune.search.measures import Measures
from frdiff_tune.search.run import Ended, Run
from frdiff_tune.search.study import Study


@dataclass(frozen=True, slots=True)
class Preparing:
    """Progress before the first trial.

    Arguments:
        done: Pictures and timed calls made so far.
        total: Those that there are to make.
    """

    done: int
    total: int


def tune(
    study: Study,
    *,
    trials: int | None = None,
    minutes: float | None = None,
    pipe: Any = None,  # noqa: ANN401
    evaluator: Measures | None = None,
    start_from: Study | None = None,
) -> Iterator[Preparing | Ended]:
    """Runs a study until its budget is spent, from where it was.

    Everything is kept as soon as it is measured. Stop consuming, interrupt or kill the process at any time: the same call
    goes on. A trial that was broken off is tried once more, first.

    Arguments:
        study: The question.
        trials: Finished trials of the whole study, those that failed among them; None: as the study says. Policies that
            were measured before within the study do not count.
        minutes: Wall time of this run from its first trial on; None: as the study says.
        pipe: The study's pipeline, if it is loaded already.
        evaluator: What measures; None: the real one.
        start_from: Another study, whose front is measured first; where it asks for the same pictures on another machine, its
            figures of quality are learnt from, too.

    Yields:
        How far preparation is, then each trial when it is finished: measured, stopped early because another one surely beats
        it, or with the reason why it cannot be measured.

    Raises:
        StudyError: If the storage cannot be opened or belongs to another definition.
        ModelError: If the model or the device is not to be had.
        MeasureError: If cases or metric cannot be used.
    """
    database = storage.open_storage(study.file.search.storage)
    with ExitStack() as stack:
        run = opened(study, setting.open_pipeline(study) if pipe is None else pipe, evaluator, stack, database)
        stack.enter_context(run.evaluator)
        if start_from is not None:
            run.begin_from(start_from)
        yield from _prepared(run)
        end = _deadline(minutes if minutes is not None else study.file.search.minutes)
        yield from run.trials(trials or study.file.search.trials, end)


def _prepared(run: Run) -> Iterator[Preparing]:
    """Makes what trials are compared with: references and their times, then the study's floor where it begins."""
    before, fit = 0, None if run.space.fitted is None else run.space.fitted.fit
    for done, before in run.evaluator.prepare(unwatched if fit is None else fit.watch):
        yield Preparing(done, before)
    if fit is not None:
        start = before
        for done, total in fit.record():
            before = start + total
            yield Preparing(start + done, before)
    for done, total in measure_floor(run.study, run.optuna_study, run.evaluator):
        yield Preparing(before + done, before + total)


def opened(
    study: Study,
    pipe: Any,  # noqa: ANN401
    evaluator: Measures | None,
    stack: ExitStack,
    database: RDBStorage | None = None,
) -> Run:
    """Returns a run of a study, its space on the pipeline and its trials so far; nothing is measured yet.

    Arguments:
        study: The question.
        pipe: Its pipeline.
        evaluator: What measures; None: the real one.
        stack: What ends with the run.
        database: The study's, if it is opened already.
    """
    database = database or storage.open_storage(study.file.search.storage)
    cases = setting.search_cases(study, pipe)
    captures = study.file.search.capture
    evaluator = evaluator or setting.make_evaluator(study, pipe, cases)  # what cannot be measured is said before all else
    machine = setting.machine_of(study, pipe).model_dump(mode="json", exclude={"capture"})
    more = {"cases.digest": cases_digest(cases), **{f"machine.{key}": value for key, value in machine.items()}}
    return Run(
        study=study,
        space=setting.space_of(study, pipe, cases, getattr(evaluator, "bench", None)),
        optuna_study=storage.open_study(study, database, more),
        ledger=Ledger(database.engine),
        places={capture: setting.place_of(study, pipe, cases, capture) for capture in captures},
        evaluator=evaluator,
        worker=stack.enter_context(storage.working()),
    )


def _deadline(minutes: float | None) -> float:
    return time.monotonic() + 60 * minutes if minutes is not None else float("inf")
