"""Making the pictures that are laid beside each other: the bare pipeline and a policy, same cases, same seeds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from frdiff_tune.report.side_by_side import Pair

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL.Image import Image

    from frdiff_tune.measure import Case
    from frdiff_tune.measure.bench import Contender
    from frdiff_tune.policy import Policy
    from frdiff_tune.runtime import Capture


@dataclass(frozen=True, slots=True)
class Picture:
    """One picture and how long its call took.

    Arguments:
        case: What was asked for.
        pixels: 8-bit channels, with shape (H, W, 3); of a video (F, H, W, 3).
        time_ms: Wall time of the call, in milliseconds.
    """

    case: Case
    pixels: NDArray[np.uint8]
    time_ms: float

    @property
    def image(self) -> Image:
        """The picture, ready to save."""
        return still(self.pixels)


def still(pixels: NDArray[np.uint8]) -> Image:
    """Returns a picture, or the middle frame of a video.

    Arguments:
        pixels: 8-bit channels, with shape (H, W, 3) or (F, H, W, 3).
    """
    from PIL import Image

    return Image.fromarray(pixels if pixels.ndim == 3 else pixels[len(pixels) // 2])


def pictures(
    pipe: Any,  # noqa: ANN401 - a diffusers pipeline
    policy: Policy,
    cases: Sequence[Case],
    call: Mapping[str, Any],
) -> Iterator[Picture]:
    """Yields one picture per case, made under a policy; the pipeline is restored when the iterator ends.

    Arguments:
        pipe: A diffusers pipeline without a policy.
        policy: What to run.
        cases: What to draw.
        call: Further arguments of the pipeline's call, such as ``guidance_scale``.
    """
    from frdiff_tune.measure.bench import Bench, Contender
    from frdiff_tune.measure.hardware import capture_of

    with Bench(pipe) as bench:
        runner = Contender(bench, policy, policy.sampling.num_inference_steps, capture_of(policy, pipe))
        _draw(runner, cases[0], call)  # a process's first run allocates and compiles: not timed
        for case in cases:
            yield _draw(runner, case, call)


def pairs(
    pipe: Any,  # noqa: ANN401 - a diffusers pipeline
    policy: Policy,
    cases: Sequence[Case],
    call: Mapping[str, Any],
    *,
    steps: int,
) -> Iterator[Pair]:
    """Yields reference and policy's picture of each case, one after the other, so that a drift of the machine hits both.

    Arguments:
        pipe: A diffusers pipeline without a policy.
        policy: What to compare.
        cases: What to draw.
        call: Further arguments of the pipeline's call, such as ``guidance_scale``.
        steps: ``num_inference_steps`` of the reference.
    """
    from frdiff_tune.measure.bench import Bench, Contender
    from frdiff_tune.measure.drawn import Drawn
    from frdiff_tune.measure.hardware import capture_of
    from frdiff_tune.measure.metrics import Lpips

    distance = Lpips(pipe.device)
    with Bench(pipe) as bench:
        bare, fast = Contender(bench, None, steps), Contender(bench, policy, steps, capture_of(policy, pipe))
        for runner in (bare, fast):
            _draw(runner, cases[0], call)
        for case in cases:
            reference, candidate = _draw(bare, case, call), _draw(fast, case, call)
            (lpips,) = distance(Drawn(candidate.pixels[None]), Drawn(reference.pixels[None]))
            times = {"reference_ms": reference.time_ms, "candidate_ms": candidate.time_ms}
            yield Pair(case.label, case.seed, reference.image, candidate.image, **times, lpips=lpips)


def beside_reference(
    pipe: Any,  # noqa: ANN401 - a diffusers pipeline
    policies: Sequence[tuple[Policy, Capture, float]],
    cases: Sequence[Case],
    call: Mapping[str, Any],
    *,
    steps: int,
    reference_ms: float,
    folder: Path,
) -> Iterator[list[Pair]]:
    """Yields the pairs of each policy, the reference drawn once; nothing is timed, the times are those that are given.

    Arguments:
        pipe: A diffusers pipeline without a policy; restored when the iterator ends.
        policies: Each with how its network is launched and its latency, in milliseconds.
        cases: What to draw, of one kind.
        call: Further arguments of the pipeline's call, such as ``guidance_scale``.
        steps: ``num_inference_steps`` of the reference.
        reference_ms: Latency of the reference, in milliseconds.
        folder: Where pictures of the reference are kept.
    """
    from frdiff_tune.measure.bench import Bench, Contender
    from frdiff_tune.measure.drawn import draw
    from frdiff_tune.measure.metrics import Lpips
    from frdiff_tune.measure.references import references

    distance = Lpips(pipe.device)
    with Bench(pipe) as bench:
        whole = list(references(bench, [(case,) for case in cases], steps, call, folder))
        for policy, capture, latency_ms in policies:
            runner = Contender(bench, policy, steps, capture)
            pairs = []
            for case, reference in zip(cases, whole, strict=True):
                candidate = draw(runner, [case], call)
                images = still(reference.pictures[0]), still(candidate.pictures[0])
                (lpips,) = distance(candidate, reference)
                pairs.append(Pair(case.label, case.seed, *images, reference_ms, latency_ms, lpips))
            yield pairs


def _draw(runner: Contender, case: Case, call: Mapping[str, Any]) -> Picture:
    from frdiff_tune.measure.picture import render
    from frdiff_tune.measure.stopwatch import HostClock

    runner.ready()
    clock = HostClock(runner.bench.pipe.device)
    clock.stamp("start")
    pixels = render(runner, [case], call)[0]
    clock.stamp("end")
    return Picture(case, pixels, clock.between("start", "end"))
