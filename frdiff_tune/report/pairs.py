"""Making the pictures that are laid beside each other: the bare pipeline and a policy, same cases, same seeds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from frdiff_tune.report.side_by_side import Pair

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL.Image import Image

    from frdiff_tune.measure import Case
    from frdiff_tune.measure.bench import Contender
    from frdiff_tune.policy import Policy


@dataclass(frozen=True, slots=True)
class Picture:
    """One picture and how long its call took.

    Arguments:
        case: What was asked for.
        pixels: 8-bit channels, with shape (H, W, 3).
        time_ms: Wall time of the call, in milliseconds.
    """

    case: Case
    pixels: NDArray[np.uint8]
    time_ms: float

    @property
    def image(self) -> Image:
        """The picture, ready to save."""
        from PIL import Image

        return Image.fromarray(self.pixels)


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


def _draw(runner: Contender, case: Case, call: Mapping[str, Any]) -> Picture:
    from frdiff_tune.measure.picture import render
    from frdiff_tune.measure.stopwatch import HostClock

    runner.ready()
    clock = HostClock(runner.bench.pipe.device)
    clock.stamp("start")
    pixels = render(runner, [case], call)[0]
    clock.stamp("end")
    return Picture(case, pixels, clock.between("start", "end"))
