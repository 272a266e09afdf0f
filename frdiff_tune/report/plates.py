"""The figures of a report; what each means is said in the page's template."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from frdiff_tune.report.plate import Plate
from frdiff_tune.report.words import describe, figure_name

if TYPE_CHECKING:
    from frdiff_tune.measure import Profile
    from frdiff_tune.report.side_by_side import Pair
    from frdiff_tune.search import Front, Point, Study


def front_plate(study: Study, found: Front, chosen: int) -> Plate:
    """Returns every policy in the plane of time and likeness.

    Arguments:
        study: The study.
        found: What it has measured.
        chosen: Number of the trial to mark.
    """
    from frdiff_tune.report.exported import front_of

    best = len(found.best)
    return Plate(
        "front",
        front_of(study, found, chosen=chosen),
        f"Scatter plot of {len(found.points)} policies: latency to the right, LPIPS upwards; {best} of them form the front.",
    )


def calls_plate(found: Front) -> Plate:
    """Returns every policy in the plane of network calls and likeness."""
    from frdiff_tune.report.calls_figure import calls_figure, closest_by_calls
    from frdiff_tune.report.points import points_of

    points = points_of(found)
    few = closest_by_calls(points)[0]
    return Plate(
        "calls",
        calls_figure(points, title="LPIPS over network calls", floor_lpips=found.floor.value if found.floor else None),
        f"Scatter plot of {len(points)} policies: network calls to the right, LPIPS upwards; the fewest are {few.nfe}.",
    )


def schedule_plate(point: Point) -> Plate:
    """Returns what a policy does at every step."""
    from frdiff_tune.report.schedule_figure import schedule_figure

    policy, number = point.policy, point.trial.number
    return Plate(
        f"schedule-{number}",
        schedule_figure(policy, f"trial {number}: what is computed at which step"),
        f"Schedule of trial {number}: {describe(policy)}.",
    )


def pictures_plate(study: Study, point: Point, pairs: Sequence[Pair]) -> Plate:
    """Returns reference and policy side by side, and how far they are apart.

    Arguments:
        study: The study.
        point: The policy.
        pairs: Held-out pictures, each made twice.
    """
    from frdiff_tune.report.gallery import row_names
    from frdiff_tune.report.side_by_side import side_by_side

    number = point.trial.number
    reference, candidate = row_names(point.policy, "", study.file.call.num_inference_steps)
    title = f"trial {number}: same prompts, same seeds"
    return Plate(
        f"pictures-{number}",
        side_by_side(pairs, title=title, reference=reference.strip(), candidate=candidate, difference=True),
        f"{len(pairs)} pictures of the reference above those of trial {number}, and a map of their difference.",
        raster=True,
    )


def importance_plate(found: Front) -> Plate | None:
    """Returns what decides the objectives; None where too little was measured."""
    from frdiff_tune.report.importance_figure import importance_figure
    from frdiff_tune.search import importance

    shares = {figure_name(name): own for name, own in importance(found).items()}
    if not shares:
        return None
    most = "; ".join(f"{max(own, key=lambda choice: own[choice])} explains most of {name}" for name, own in shares.items())
    return Plate("importance", importance_figure(shares, "how much of each figure a choice explains"), f"Bars: {most}.")


def growth_plate(study: Study) -> Plate:
    """Returns how the front grew over trials and over time."""
    from frdiff_tune.report.growth_figure import growth_figure
    from frdiff_tune.search import history

    grown = history(study)
    last = grown[-1]
    return Plate(
        "growth",
        growth_figure(grown, "how the front grew"),
        f"Curves over trials and time: all policies rise to {last.volume:.2f}, known ones alone to {last.known:.2f}.",
    )


def similarity_plate(study: Study, profile: Profile | None) -> Plate | None:
    """Returns what changes from step to step; None where nothing was recorded."""
    from frdiff_tune.report.profile_figure import profile_figure

    if profile is None or profile.similarity is None or not profile.similarity.change:
        return None
    return Plate(
        "similarity",
        profile_figure(profile, study.file.model.source),
        f"Heat maps of {len(profile.similarity.change)} groups: how much what they compute changes between any two steps.",
    )
