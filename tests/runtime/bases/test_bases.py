"""Bases: weights worked by hand, and what every basis must do."""

from math import sqrt

import numpy as np
import pytest

from frdiff_tune.errors import PolicyError
from frdiff_tune.runtime.bases import BASES, Basis, Chebyshev, Fitted, Hermite, Lagrange, Taylor

MEMBERS: list[Basis] = [
    *(Taylor(order) for order in range(4)),
    *(Lagrange(order) for order in range(4)),
    *(Hermite(order, 0.5) for order in range(4)),
    Chebyshev(2, 4, 0.01),
    Chebyshev(1, 2, 0.0),
    Fitted(np.ones((50, 50)), 1),  # recorded on a run whose features never change: only then does it hold them
    Fitted(np.ones((50, 50)), 3, 0.0),
]


def test_all_kinds_are_here() -> None:
    assert {type(member) for member in MEMBERS} == set(BASES.values())


@pytest.mark.parametrize("basis", MEMBERS, ids=repr)
def test_what_every_basis_does(basis: Basis) -> None:
    for count in range(1, 6):
        steps = [20, 17, 12, 11, 4][:count]
        weights = basis(steps, 22, 50)
        assert len(weights) == min(count, basis.nodes)
        assert sum(weights) == pytest.approx(1.0, abs=1e-5), "what never changes stays"
    assert basis([9], 11, 50) == pytest.approx((1.0,))


def test_taylor_by_hand() -> None:
    # kept at 6, 4, 0; F' = (a - b) / 2, before it (b - c) / 4, so F'' = (F' - that) / 2; two steps on: a + 2 F' + 2 F''
    assert Taylor(2)([6, 4, 0], 8, 50) == pytest.approx((1 + 1 + 0.5, -1 - 0.5 - 0.25, 0.25))
    assert Taylor(1)([6, 4, 0], 7, 50) == (1.5, -0.5)
    assert Taylor(0)([6, 4, 0], 7, 50) == (1.0,)


def test_hermite_by_hand() -> None:
    # x = 2, sigma = 1/2: sigma H_1(1) = 1/2 * 2 = 1 of F' = (a - b) / 2; sigma^2 H_2(1) / 2 = (4 - 2) / 8 = 1/4 of F''
    second = (0.25, -0.25 - 0.125, 0.125)
    assert Hermite(1, 0.5)([6, 4, 0], 8, 50) == pytest.approx((1.5, -0.5))
    assert Hermite(2, 0.5)([6, 4, 0], 8, 50) == pytest.approx(
        (1 + 0.5 + 0.25 * second[0], -0.5 + 0.25 * second[1], 0.25 * second[2])
    )
    assert Hermite(1, sqrt(0.5))([6, 4], 9, 50) == pytest.approx(Taylor(1)([6, 4], 9, 50))


def test_lagrange_is_exact_on_polynomials() -> None:
    steps = [30, 23, 20]
    weights = Lagrange(2)(steps, 37, 50)
    for power in range(3):
        assert sum(w * s**power for w, s in zip(weights, steps, strict=True)) == pytest.approx(37**power, rel=1e-4)


def test_chebyshev_without_ridge_is_the_polynomial() -> None:
    assert Chebyshev(2, 3, 0.0)([30, 23, 20], 37, 50) == pytest.approx(Lagrange(2)([30, 23, 20], 37, 50), rel=1e-4)
    assert sum(abs(w) for w in Chebyshev(2, 4, 1.0)([30, 23, 20, 10], 37, 50)) < 2.0, "a ridge shrinks"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Taylor(-1), "`order` must be a whole number from 0 to 4 but got -1"),
        (lambda: Lagrange(True), "`order`"),
        (lambda: Hermite(1, 0.0), "`sigma` must be positive but got 0.0"),
        (lambda: Chebyshev(2, 0), r"`window` must lie in \[1, 16\] but got 0"),
        (lambda: Chebyshev(2, 2, 0.0), "`ridge` must be at least 0, and above where `window` <= `order`"),
    ],
)
def test_bad_numbers(make: type[Basis], message: str) -> None:
    with pytest.raises(PolicyError, match=message):
        make()
