"""Elsewhere: quality that another study measured of the same pictures on another machine, for a search to begin from.

How close a policy's pictures are to the reference hardly depends on the machine, how long they take does. So a study that
begins from another one of the same model, call and cases learns from its figures of quality, and from none of its latencies.
They are no trials: nothing of them is on a front, and whatever is exported was measured here.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import optuna
from optuna.trial import TrialState

from frdiff_tune.measure import figure_names
from frdiff_tune.search.outcome import POLISHED_FROM

if TYPE_CHECKING:
    from frdiff_tune.search.space import Space
    from frdiff_tune.search.study import Study

KEPT = "frdiff:elsewhere"
"""Attribute of a study: what it knows from elsewhere."""
SAME = ("model.", "call.", "cases.digest")
"""Parts of a definition on which pictures depend; the space's does not matter where parameters lie in both."""
OTHER = ("model.device",)
"""What of these is the machine's."""
MOST = 100
"""Policies at most: the closest of every number of network calls first."""


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """A policy whose quality is known from elsewhere.

    Arguments:
        digest: Of the policy there.
        params: Its parameters.
        figures: Name -> value, of quality alone.
    """

    digest: str
    params: Mapping[str, Any]
    figures: Mapping[str, float]


def same_pictures(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether two definitions ask for the same pictures.

    Arguments:
        one: Flat ``table.key`` -> value, as a study keeps it.
        other: Another such.
    """
    keys = {key for key in (*one, *other) if key.startswith(SAME) and key not in OTHER}
    return bool(keys) and all(one.get(key) == other.get(key) for key in keys)


def known_elsewhere(study: optuna.Study, space: "Space") -> list[Elsewhere]:
    """Returns what a study measured of the quality of policies that lie in a space.

    Arguments:
        study: The other study.
        space: Where its policies must lie.
    """
    able = []
    for trial in study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,)):
        kept, lies = trial.user_attrs, trial.params.keys() == space.distributions.keys() and space.holds(trial.params)
        if lies and not {"duplicate_of", POLISHED_FROM} & {*kept}:
            figures = {name: kept[name][0] for name in figure_names() if name in kept}
            able.append((kept["nfe"], figures["lpips"], Elsewhere(kept["digest"], trial.params, figures)))
    places: dict[int, int] = {}
    ranked = []
    for nfe, _, each in sorted(able, key=lambda row: row[:2]):
        places[nfe] = places.get(nfe, 0) + 1
        ranked.append((places[nfe], nfe, each))
    return [each for *_, each in sorted(ranked, key=lambda row: row[:2])[:MOST]]


def remember(study: optuna.Study, found: Sequence[Elsewhere]) -> None:
    """Keeps in a study what it knows from elsewhere, so that it proposes the same when it goes on; what it has, stays."""
    if found and KEPT not in study.user_attrs:
        kept = [[each.digest, dict(each.params), dict(each.figures)] for each in found]
        study.set_user_attr(KEPT, json.dumps(kept))  # one string: Optuna copies attributes deeply whenever one is read


def remembered(study: optuna.Study) -> list[Elsewhere]:
    """Returns what a study knows from elsewhere."""
    return [Elsewhere(*each) for each in json.loads(study.user_attrs.get(KEPT, "[]"))]


def known_from_elsewhere(study: "Study") -> int:
    """Returns of how many policies a study knows the quality from another machine.

    Raises:
        StudyError: If it was never begun.
    """
    from frdiff_tune.search import storage

    database = storage.open_storage(study.file.search.storage, create=False)
    return len(remembered(storage.find_study(study, database)))
