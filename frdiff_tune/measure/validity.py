"""Validity: how close a policy comes in calls unlike those that it was tuned for, beside as many plain steps."""

import inspect
import warnings
from collections.abc import Generator, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from frdiff_tune.errors import FrdiffError
from frdiff_tune.measure.bench import Bench, Contender
from frdiff_tune.measure.case import Case, blocks
from frdiff_tune.measure.drawn import draw
from frdiff_tune.measure.hardware import pipe_device
from frdiff_tune.measure.interval import bootstrap
from frdiff_tune.measure.metrics import load_paired
from frdiff_tune.measure.picture import checked_call, picture_size
from frdiff_tune.measure.references import references
from frdiff_tune.policy import Figure, Policy, Validity

FACTORS = (0.5, 2.0)
"""Guidance scales that are tried, as multiples of the call's own."""
SIDES = (0.5, 1.5)
"""Heights and widths that are tried, as multiples of the call's own."""
MULTIPLE = 64
"""Pixels of which heights and widths are multiples."""
Progress = tuple[int, int]


def other_calls(pipe: Any, call: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:  # noqa: ANN401
    """Yields calls unlike a given one, each in words and as arguments that change.

    Arguments:
        pipe: A diffusers pipeline.
        call: The call's arguments.
    """
    parameters = inspect.signature(pipe.__call__).parameters
    if "guidance_scale" in parameters and "true_cfg_scale" not in parameters:
        scale = call.get("guidance_scale", parameters["guidance_scale"].default)
        for factor in FACTORS if isinstance(scale, (int, float)) and scale > 1 else ():
            yield f"guidance_scale {factor * scale:g}", {"guidance_scale": factor * scale}
    if {"height", "width"} <= set(parameters):
        sides = picture_size(pipe, call)
        for factor in SIDES:
            height, width = (max(round(factor * side / MULTIPLE), 1) * MULTIPLE for side in sides)
            if (height, width) != sides:
                yield f"{height} x {width} px", {"height": height, "width": width}


def validity(
    pipe: Any,  # noqa: ANN401
    policy: Policy,
    cases: Sequence[Case],
    *,
    steps: int,
    cache_dir: str | Path,
    call: Mapping[str, Any] | None = None,
    quality_batch: int = 8,
    weights: str | Path | None = None,
) -> Generator[Progress, None, tuple[Validity, ...]]:
    """Measures LPIPS of a policy in other calls, and that of as many steps of the pipeline's own scheduler.

    Each call is compared with the reference of the same call. One that the model cannot run is stated with the reason.

    Arguments:
        pipe: A diffusers pipeline without a policy; restored afterwards.
        policy: The policy.
        cases: What to draw.
        steps: The reference's ``num_inference_steps``.
        cache_dir: Where reference images are kept.
        call: Arguments of the call that the policy was tuned for.
        quality_batch: Images per call.
        weights: Folder in which the metric's weights are looked for first.

    Yields:
        Images drawn, and those that there are to draw.
    """
    given = checked_call(call or {})
    calls = list(other_calls(pipe, given))
    total, rows = 3 * len(cases) * len(calls), list[Validity]()
    (lpips,) = load_paired(("lpips",), pipe_device(pipe), None if weights is None else Path(weights))
    with Bench(pipe) as bench, warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # that the call is far from the fit is what is measured
        contenders = Contender(bench, policy, 0), Contender(bench, None, policy.sampling.num_inference_steps)
        for number, (name, changes) in enumerate(calls):
            values: tuple[list[float], list[float]] = ([], [])
            begin = 3 * len(cases) * number
            try:
                parts = blocks(cases, quality_batch)
                drawn = references(bench, parts, steps, {**given, **changes}, Path(cache_dir))
                for block, reference in zip(parts, drawn, strict=True):
                    for contender, own in zip(contenders, values, strict=True):
                        own += lpips(draw(contender, block, {**given, **changes}), reference)
                    bench.use(None)
                    yield begin + 3 * len(values[0]), total
            except (FrdiffError, RuntimeError, ValueError) as error:
                rows.append(Validity(call=name, reason=" ".join(str(error).split())[:200], count=0))
            else:
                rows.append(Validity(call=name, lpips=_mean(values[0]), fewer_steps=_mean(values[1]), count=len(cases)))
            bench.use(None)
            yield begin + 3 * len(cases), total
    return tuple(rows)


def _mean(values: Sequence[float]) -> Figure:
    mean = bootstrap(values)
    return Figure(value=mean.value, low=mean.low, high=mean.high)
