"""How a jump score is forecast, as parameters: order and strength of a polynomial, and shares of the way to fitted weights.

    w[t] = (1 - share) * (e_0 + strength * (lagrange[t] - e_0)) + share * fit[t]

where e_0 holds the newest score and ``share`` belongs to the part of the run that t lies in.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from frdiff_tune.policy import Policy
from frdiff_tune.policy.forecast import lagrange_weights
from frdiff_tune.search.space_file import STRENGTH, ForecastSection, round_fit, round_strength

Array = NDArray[np.float64]
ORDER = "forecast.order"


def trends(
    policy: Policy, times: Sequence[float], section: ForecastSection, fits: Mapping[int, Array] | None
) -> Iterator[dict[str, Any]]:
    """Yields parameters whose forecast agrees with a policy's jump scores as far as its weights tell.

    Arguments:
        policy: Whose forecast is looked for.
        times: The timesteps that it walks, length T.
        section: Orders, and the bounds of strength and shares.
        fits: Step -> fitted weights of its keyframes; None where nothing is fitted.
    """
    rows = {t: np.asarray(row) for t, row in enumerate(policy.forecast.get("score", ())) if row}
    least, greatest = section.strength
    idle = dict.fromkeys(section.fits, max(section.fit[0], 0.0))
    keyframes = [t for t, bit in enumerate(policy.keyframes) if bit == "1"]
    for order in section.order:
        if not rows:
            yield {ORDER: order, STRENGTH: min(max(0.0 if order else 1.0, least), greatest), **idle}
            continue
        whole = lagrange_weights(times, keyframes, order)
        for shares, strength in _solved(rows, whole, policy.T, None, section.fits):
            if order:
                yield {ORDER: order, STRENGTH: min(max(strength, least), greatest), **idle, **shares}
        if fits is not None:
            for shares, strength in _solved(rows, whole, policy.T, fits, section.fits):
                strength = strength if order else 1.0
                yield {ORDER: order, STRENGTH: min(max(strength, least), greatest), **idle, **shares}


def _solved(
    rows: Mapping[int, Array],
    whole: Sequence[Sequence[float]],
    T: int,
    fits: Mapping[int, Array] | None,
    names: Sequence[str],
) -> Iterator[tuple[dict[str, float], float]]:
    """Yields the shares and the strength that explain rows of weights best, if any do."""
    shares: dict[str, float] = {}
    strengths: list[float] = []
    for i, name in enumerate(names):
        steps = [t for t in rows if min(len(names) * t // T, len(names) - 1) == i]
        if not steps:
            continue
        share, strength = _least_squares(rows, whole, steps, fits)
        shares[name] = share
        strengths += [] if strength is None else [strength]
    if all(0.0 <= share <= 1.0 for share in shares.values()):
        yield shares if fits is not None else {}, float(np.median(strengths)) if strengths else 1.0


def _least_squares(
    rows: Mapping[int, Array], whole: Sequence[Sequence[float]], steps: Sequence[int], fits: Mapping[int, Array] | None
) -> tuple[float, float | None]:
    """Returns the share of a third, and the strength where it tells."""
    size = max(max(len(each) for each in (rows[t], whole[t], () if fits is None else fits[t])) for t in steps)
    held = np.eye(1, size)[0]
    wanted = np.concatenate([_padded(rows[t], size) - held for t in steps])
    trend = np.concatenate([_padded(whole[t], size) - held for t in steps])
    if fits is None:
        square = trend @ trend
        return 0.0, round_strength(float(wanted @ trend / square)) if square > 0 else None
    fit = np.concatenate([_padded(fits[t], size) - held for t in steps])
    (share, rest), *_ = np.linalg.lstsq(np.stack([fit, trend], axis=1), wanted, rcond=1e-9)
    share = round_fit(float(share))
    return share, round_strength(float(rest) / (1 - share)) if share < 1 and trend @ trend > 0 else None


def _padded(row: Any, size: int) -> Array:  # noqa: ANN401
    return np.pad(np.asarray(row, dtype=float), (0, size - len(row)))
