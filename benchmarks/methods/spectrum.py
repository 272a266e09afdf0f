"""Forecasts of the network's output by Chebyshev polynomials that ridge regression fits to all past outputs."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from math import floor
from typing import Any

from benchmarks.keyframe_sets import even
from benchmarks.methods._base import Keyframes, Method, Setting
from frdiff_tune.policy import Policy
from frdiff_tune.runtime import Chebyshev, Taylor, keyframe_policy
from frdiff_tune.runtime.variable import Variable
from frdiff_tune.search.study import Study

DEGREE, RIDGE, HISTORY, WINDOW = 4, 0.1, 16, 2.0
"""The authors' degree, ridge and first window; past outputs that count, at most."""
WARM_UPS = (1, 2, 3, 5, 10)
"""Steps that are computed before windows begin; the authors have 5."""
SHARES = (0.5, 1.0)
"""Weight of the Chebyshev forecast beside Taylor's of order 1; the authors have 0.5."""
VARIABLES: tuple[Variable, ...] = ("output", "epsilon")


@dataclass(frozen=True)
class Spectrum(Method):
    """Spectrum, on the network's output; warm-up, weight and what the output is read as are chosen.

    After the warm-up every window has one computing step, and windows grow by an equal amount each time: by as much as leaves
    the number of calls that is asked for. Evenly spread computing steps are tried, too.

    References:
        | Adaptive Spectral Feature Forecasting for Diffusion Sampling Acceleration (Han et al., 2026)
        | https://arxiv.org/abs/2603.01623
    """

    def policies(self, pipe: Any, study: Study, calls: int) -> Iterator[tuple[str, Setting]]:  # noqa: ANN401
        """Yields every schedule with every weight and variable."""
        steps = study.file.call.num_inference_steps
        T = len(keyframe_policy(pipe, steps, [0]).keyframes)
        for (name, keyframes), share, variable in product(schedules(T, calls).items(), SHARES, VARIABLES):
            label = f"{name}, {share:g} Chebyshev, {variable}"
            yield label, forecast(keyframe_policy(pipe, steps, keyframes, 0.0, variable=variable), share)


def schedules(T: int, calls: int) -> dict[str, Keyframes]:
    """Returns the sets of computing steps that differ, by name.

    Arguments:
        T: Steps of the run.
        calls: Computing steps.
    """
    found = {"even": even(T, calls)}
    for warm_up in WARM_UPS:
        keyframes = windows(T, calls, warm_up) if 3 * warm_up <= 2 * calls else None
        if keyframes is not None and keyframes not in found.values():
            found[f"warm-up {warm_up}"] = keyframes
    return found


def windows(T: int, calls: int, warm_up: int) -> Keyframes | None:
    """Returns the computing steps whose windows grow least for so many calls; None where no growth gives that number.

    Arguments:
        T: Steps of the run.
        calls: Computing steps.
        warm_up: Those that come first, without a gap.
    """
    fewer = (each for growth in range(100 * T) if len(each := growing(T, warm_up, growth / 100)) <= calls)
    found = next(fewer, ())
    return found if len(found) == calls else None


def growing(T: int, warm_up: int, growth: float) -> Keyframes:
    """Returns the computing steps of windows that grow.

    Arguments:
        T: Steps of the run.
        warm_up: Computing steps that come first, without a gap, at least one.
        growth: By how many steps a window is longer than the one before.
    """
    keyframes, window = list(range(warm_up)), WINDOW
    while keyframes[-1] + floor(window) < T:
        keyframes.append(keyframes[-1] + floor(window))
        window += growth
    return tuple(keyframes)


def forecast(held: Policy, share: float) -> Policy:
    """Returns a policy whose jump scores are forecast where the given one holds them.

    Arguments:
        held: Jumps between keyframes.
        share: Weight of the Chebyshev forecast; Taylor's of order 1 has the rest.
    """
    chebyshev, taylor = Chebyshev(DEGREE, HISTORY, RIDGE), Taylor(1)
    keyframes = [step.t for step in held.plan() if step.keyframe]
    table = list[tuple[float, ...]]()
    for t in range(held.T):
        past = [k for k in reversed(keyframes) if k < t]
        if t in keyframes:
            table.append(())
            continue
        far, near = chebyshev(past, t, held.T), taylor(past, t, held.T)
        padded = (*near, *[0.0] * (len(far) - len(near)))
        table.append(tuple(share * a + (1 - share) * b for a, b in zip(far, padded, strict=True)))
    return held.replace(forecast={"score": tuple(table)})
