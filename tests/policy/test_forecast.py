"""Forecast weights against numbers worked by hand."""

import pytest

from frdiff_tune.policy.forecast import lagrange_weights


def test_a_line_through_two_keyframes() -> None:
    assert lagrange_weights([9, 7, 5, 3, 1], [0, 1, 3], 1) == ((), (), (2.0, -1.0), (), (1.5, -0.5))


def test_order_zero_holds() -> None:
    assert lagrange_weights([9, 7, 5], [0], 0) == ((), (1.0,), (1.0,))


def test_fewer_nodes_lower_the_order() -> None:
    assert lagrange_weights([9, 7, 5], [0], 2) == ((), (1.0,), (1.0,))


def test_repeated_times_are_one_node_and_the_newest_wins() -> None:
    weights = lagrange_weights([9, 7, 7, 3], [0, 1, 2], 2)[3]
    assert weights == (3.0, 0.0, -2.0)


@pytest.mark.parametrize("order", [1, 2])
def test_polynomials_are_continued_exactly(order: int) -> None:
    times = [981.0, 941.0, 901.0, 861.0, 821.0]
    values = [1.0 + 0.01 * t + (1e-5 * t * t if order == 2 else 0.0) for t in times]
    weights = lagrange_weights(times, [0, 1, 2], order)[4]
    forecast = sum(w * values[k] for w, k in zip(weights, (2, 1, 0), strict=False))
    assert forecast == pytest.approx(values[4], rel=1e-5)


def test_strength_goes_part_of_the_way() -> None:
    weights = [lagrange_weights([9, 7, 5, 3], [0, 1], 1, strength)[2] for strength in (1.0, 0.25, 0.0, -0.5)]
    assert weights == [(2.0, -1.0), (1.25, -0.25), (1.0, 0.0), (0.5, 0.5)]
    assert lagrange_weights([9, 7, 5], [0], 1, 0.25)[1] == (1.0,), "one score can only be held"
