"""Rivals: the policies of the front that a trial races against."""

from collections.abc import Mapping

import optuna
from optuna.trial import TrialState

from frdiff_tune.measure import Figure, Measurement
from frdiff_tune.runtime import Capture
from frdiff_tune.search.cost_figure import COSTS, TIMES
from frdiff_tune.search.ledger import Ledger, Place
from frdiff_tune.search.objective import non_dominated
from frdiff_tune.search.outcome import TrialOutcome, distinct
from frdiff_tune.search.racing import Member
from frdiff_tune.search.study import Study


def races(study: Study) -> bool:
    """Whether trials of a study race: all that it wants is time and LPIPS, in which one trial can surely beat another."""
    wanted = study.file.search.objectives
    known = all(name in TIMES or (name not in COSTS and Figure.parse(name).metric == "lpips") for name in wanted)
    return known and study.file.search.race > 0


def members(study: optuna.Study, ledger: Ledger, places: Mapping[Capture, Place]) -> list[Member]:
    """Returns the front within the limits, with all that was measured of it.

    Arguments:
        study: Whose trials.
        ledger: Where measurements are kept.
        places: How the network is launched -> where measurements of that belong there.
    """
    complete = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    within = [each for each in distinct(complete) if all(excess <= 0 for excess in each.constraints.values())]
    best = non_dominated([TrialOutcome.read(each) for each in within])
    return [Member(each.number, each.latency_ms, _measured(each, ledger, places)) for each in best]


def _measured(outcome: TrialOutcome, ledger: Ledger, places: Mapping[Capture, Place]) -> list[Measurement]:
    blocks = ledger.blocks(outcome.digest, places[outcome.capture]).values()
    return [block for block in blocks if isinstance(block, Measurement)]
