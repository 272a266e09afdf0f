"""The agenda of a study: its starting points, and when each of them comes."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from optuna.trial import FrozenTrial, TrialState

from frdiff_tune.search.outcome import POLISHED_FROM, what
from frdiff_tune.search.samplers import FORESEEING
from frdiff_tune.search.space import Space
from frdiff_tune.search.space_file import FITTED
from frdiff_tune.search.starting import KNOWN_KINDS, SHARE, TURNS, StartingPoint, starting_points
from frdiff_tune.search.study import Study

SELDOM = 10
"""Beside a sampler that finds by itself what our own starting points are, known policies are every tenth trial, the full run
the first."""
FULL = "known: full"
FITTED_FIRST = 3
"""Fitted steps that follow the full run there: a few, a fifth and a third of the calls say more than what is foreseen."""


@dataclass(frozen=True, slots=True)
class Agenda:
    """Starting points in their order.

    Arguments:
        space: Their space.
        points: The points; their places in it are kept with the trials.
        first: How many come before the sampler's own trials; the rest every tenth. None: all.
    """

    space: Space
    points: tuple[StartingPoint, ...]
    first: int | None = None

    @classmethod
    def of(cls, study: Study, space: Space, count: int) -> Self:
        """Returns the agenda of a study: the kinds that it names, else known policies alone where errors are foreseen.

        Arguments:
            study: The question.
            space: Its space.
            count: Trials that it will have.
        """
        kinds, foreseen = study.file.search.starting_points, study.file.search.sampler in FORESEEING
        if kinds is None and foreseen:
            known = starting_points(space, -(-count // SELDOM), KNOWN_KINDS, 1.0)
            begin = sum(each.family == FULL for each in known)  # in every way of launching
            fits = starting_points(space, begin + FITTED_FIRST, (FITTED,), 1.0)[begin:] if count > SELDOM else ()
            return cls(space, (*known[:begin], *fits, *known[begin:]), begin + len(fits))
        return cls(space, starting_points(space, count, TURNS if kinds is None else kinds, SHARE))

    def due(self, tried: int, trials: Sequence[FrozenTrial]) -> int | None:
        """Returns the place of the point that comes next, if one does; beside such a sampler, one of what nobody has tried.

        Arguments:
            tried: Trials that took a place in the order of proposals.
            trials: All of them.
        """
        started = {trial.user_attrs.get("starting") for trial in trials}
        able = (i for i in range(len(self.points)) if i not in started)
        if self.first is None:
            return next(able, None)
        known = {what(trial) for trial in trials if "digest" in trial.user_attrs}
        due = (i for i in able if i < self.first or i - self.first < tried // SELDOM)
        return next((i for i in due if self._what(self.points[i]) not in known), None)

    def _what(self, point: StartingPoint) -> tuple[str, str]:
        return self.space.decode(point.params).digest, self.space.capture(point.params)


def takes_place(trial: FrozenTrial) -> bool:
    """Whether a trial takes a place in the order of proposals: all but those that are tried again."""
    if POLISHED_FROM in trial.user_attrs:
        return False
    failed = trial.state == TrialState.FAIL and not trial.user_attrs.get("broken_off", True)
    return failed or trial.state in (TrialState.COMPLETE, TrialState.PRUNED, TrialState.RUNNING)
