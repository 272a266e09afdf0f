"""Policies of a study with their pictures beside the reference's."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from frdiff_tune.report.side_by_side import Pair
    from frdiff_tune.search import Point, Study


def pictured(
    study: Study,
    points: Sequence[Point],
    reference_ms: float,
    count: int,
    pipe: Any,  # noqa: ANN401 - a diffusers pipeline
) -> Iterator[tuple[Point, list[Pair]]]:
    """Yields each policy with its held-out pictures beside the reference's, which are drawn once; times are the study's.

    Arguments:
        study: The study.
        points: What to draw.
        reference_ms: Latency of the reference, in milliseconds.
        count: Pictures of each.
        pipe: The study's pipeline without a policy.
    """
    from frdiff_tune.report.pairs import beside_reference
    from frdiff_tune.search import cache_folder, held_out_cases

    call, cases = study.file.call, held_out_cases(study, pipe)[:count]
    tried = [(point.policy, point.trial.capture, point.trial.latency_ms.value) for point in points]
    given: dict[str, Any] = {"steps": call.num_inference_steps, "reference_ms": reference_ms, "folder": cache_folder()}
    yield from zip(points, beside_reference(pipe, tried, cases, call.arguments, **given), strict=True)
