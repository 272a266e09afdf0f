"""Forecast weights: from the times of the keyframes to the weights w[t] of their scores."""

import struct
from collections.abc import Sequence


def lagrange_weights(
    times: Sequence[float], keyframes: Sequence[int], order: int, strength: float = 1.0
) -> tuple[tuple[float, ...], ...]:
    """Expands a polynomial forecast into weights, one list per step.

    w[t][k] = (1 - strength) * [k is the newest] + strength * prod_{j != k} (time[t] - time[j]) / (time[k] - time[j])
    over the newest ``order + 1`` keyframes before t.

    Of keyframes that share a time (Heun and PNDM repeat timesteps) only the newest is a node; the others weigh 0. Where
    fewer nodes are at hand, the order is lower. Weights are rounded to float32.

    Arguments:
        times: The scheduler's timesteps, length T.
        keyframes: Step indices of the keyframes.
        order: Degree of the polynomial; 0 holds the newest score.
        strength: How much of the way from the held score to the polynomial is gone: between 0 and 1 the trend is damped,
            below 0 older scores count, too.

    Returns:
        T lists, newest keyframe first; empty at step 0 and at keyframes.

    References:
        | From Reusing to Forecasting: Accelerating Diffusion Models with TaylorSeers (Liu et al., 2025)
        | https://arxiv.org/abs/2503.06923
        | Forecasting Trends in Time Series (Gardner and McKenzie, 1985), which damps a trend
        | https://doi.org/10.1287/mnsc.31.10.1237
    """
    known = set(keyframes)
    return tuple(
        () if t in known else _weights(times, t, order, strength, [k for k in keyframes if k < t]) for t in range(len(times))
    )


def _weights(times: Sequence[float], t: int, order: int, strength: float, past: list[int]) -> tuple[float, ...]:
    newest_first = sorted(past, reverse=True)
    nodes: dict[float, int] = {}
    for place, k in enumerate(newest_first):
        if len(nodes) <= order:
            nodes.setdefault(times[k], place)
    weights = [0.0] * (max(nodes.values(), default=-1) + 1)
    for time, place in nodes.items():
        weight = 1.0
        for other in nodes:
            if other != time:
                weight *= (times[t] - other) / (time - other)
        weights[place] = float32(strength * weight + (1 - strength) * (place == 0))
    return tuple(weights)


def float32(value: float) -> float:
    """Returns the float32 nearest to ``value``."""
    return float(struct.unpack("f", struct.pack("f", value))[0])
