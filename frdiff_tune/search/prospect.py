"""Prospects: a candidate of which it is foreseen that the front beats it never starts.

Of a candidate that a sampler has drawn by itself, recorded runs and the trials so far foretell a distance and a latency, both
with a deviation. Even if it turns out as close as

    loss - CAUTION * deviation, at latency - deviation,

it does not start where a member of the front within the limits is no slower and no farther. It costs no evaluation and is never
shown: the sampler is asked again, at most ``SKIPS`` times in a row. Samplers that foresee errors themselves propose no such
candidates.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import optuna
from optuna.trial import FrozenTrial, TrialState

from frdiff_tune.search.aim import Aim
from frdiff_tune.search.floor import searched_min_lpips
from frdiff_tune.search.foresight import LatencyModel, QualityModel
from frdiff_tune.search.outcome import FORESEEN, POLISHED_FROM, distinct, what
from frdiff_tune.search.rivals import races
from frdiff_tune.search.space_file import Params
from frdiff_tune.search.study import Study

if TYPE_CHECKING:
    from frdiff_tune.search.space import Space

UNFORESEEING = ("tpe", "nsga2", "nsga3", "gp", "local", "random", "qmc")
"""Samplers that are spared what is foreseen to be beaten. The order of brute force and the steps of CMA-ES need every trial."""
FEWEST = 10
"""Trials that are measured before anything is foreseen well enough."""
LEARNT = 160
"""Trials that the models learn from at most, the newest: a fit takes longer than a proposal otherwise."""
CAUTION = 2.0
"""By how many standard deviations closer than foreseen a candidate must still be beaten. Deviations are too small
for that to be safe: on a recorded table 6 of 108 and 23 of 193 that did not start were not beaten by who was named."""
SKIPS = 20
"""Candidates in a row that do not start, at most; whatever comes then is measured."""


class Prospect:
    """Foretells candidates from the trials so far.

    Arguments:
        space: The study's space.
        aim: What is wanted.
        measured: Trials that are measured in full, each policy once.
        reference_ms: The reference's latency, in milliseconds.
    """

    def __init__(self, space: "Space", aim: Aim, measured: Sequence[FrozenTrial], reference_ms: float) -> None:
        self.space, self.aim = space, aim
        figures = [{name: each.user_attrs[name][0] for name in ("latency_ms", aim.quality)} for each in measured]
        losses, ratios = [aim.loss(each) for each in figures], [each["latency_ms"] / reference_ms for each in figures]
        within = [all(excess <= 0 for excess in each.constraints.values()) for each in measured]
        front = zip(measured, losses, ratios, within, strict=True)
        self.members = [(each.number, loss, ratio) for each, loss, ratio, keeps in front if keeps]
        foresight, errors = space.foresight, space.foresight.errors
        some = list(zip(measured, losses, ratios, strict=True))[-LEARNT:]
        outlines = [foresight.outline(what(each)[0], each.params) for each, _, _ in some]
        self.quality = QualityModel(errors.names, [errors(each) for each in outlines], [loss for _, loss, _ in some])
        T = space.full(space.reference_steps, errors.own).T
        self.latency = {}
        for capture in space.captures:
            own = [i for i, (each, _, _) in enumerate(some) if what(each)[1] == capture]
            seen = [outlines[i] for i in own], [some[i][2] for i in own]
            self.latency[capture] = LatencyModel(tuple(space.groups), errors.solvers, T, *seen)

    def beaten(self, params: Params) -> dict[str, float] | None:
        """Returns what is foreseen of a candidate, and the number of who beats it; None where nobody surely does.

        Arguments:
            params: The candidate's.
        """
        outline, model = self.space.foresight.of(params), self.latency[self.space.capture(params)]
        mean, deviation = (float(each[0]) for each in self.quality([self.space.foresight.errors(outline)]))
        latency, unsure = (float(each[0]) for each in model([outline]))
        closest, fastest = max(mean - CAUTION * deviation, self.aim.floor), latency - unsure
        best = next((number for number, loss, ratio in self.members if loss <= closest and ratio <= fastest), None)
        found = {"loss": mean, "loss_deviation": deviation, "latency": latency, "latency_deviation": unsure}
        return None if best is None else {"beaten_by": best, **found}


def prospect_of(study: Study, space: "Space", opened: optuna.Study, reference_ms: float) -> Prospect | None:
    """Returns what foretells candidates of a study, or None where all of them start.

    They do without racing, with samplers that foresee errors themselves, where anything but time against LPIPS is wanted, and
    as long as little is measured.

    Arguments:
        study: The question.
        space: Its space.
        opened: Its trials.
        reference_ms: The reference's latency, in milliseconds.
    """
    search = study.file.search
    aim = Aim.of(search.objectives, study.limits, min_lpips=searched_min_lpips(study, opened))
    if search.sampler not in UNFORESEEING or not races(study) or aim is None or not (aim.fast and aim.close):
        return None
    complete = opened.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    measured = distinct([each for each in complete if POLISHED_FROM not in each.user_attrs])
    return Prospect(space, aim, measured, reference_ms) if len(measured) >= FEWEST else None


def foreseen_beaten(prospect: Prospect, trial: FrozenTrial) -> dict[str, Any] | None:
    """Returns what a trial keeps that does not start; None where it does, as all that were not drawn by the sampler.

    Arguments:
        prospect: What foretells it.
        trial: What was asked for.
    """
    if trial.system_attrs.get("fixed_params"):
        return None
    beaten = prospect.beaten(trial.params)
    if beaten is None:
        return None
    digest, capture = prospect.space.decode(trial.params).digest, prospect.space.capture(trial.params)
    return {FORESEEN: beaten, "digest": digest, "capture": capture}
