"""Every lam family: weights in [0, 1], and found again from what a policy shows of it."""

import random

import pytest

from frdiff_tune.errors import SpaceError
from frdiff_tune.policy.mixing import KNOTS, MIXING, HardSigmoid, Linear, Mixing, Piecewise, Sigmoid, Step

SHAPED = ("slope", "bias", "knots")


def draw(family: str, rng: random.Random) -> Mixing:
    """Returns a random member on the grid that a search proposes."""
    cls = MIXING[family]
    fields = {name: None for name in SHAPED if name in getattr(cls, "__dataclass_fields__", {})}
    values: dict[str, object] = {}
    if "slope" in fields:
        values["slope"] = float(f"{rng.uniform(5, 100):.2g}")
    if "bias" in fields:
        values["bias"] = rng.randint(0, 100) / 100
    if "knots" in fields:
        values["knots"] = tuple(rng.randint(0, 20) / 20 for _ in range(KNOTS))
    return cls(**values)


@pytest.mark.parametrize("family", MIXING)
def test_weights_lie_in_the_unit_interval(family: str) -> None:
    rng = random.Random(family)
    for T in (1, 2, 7, 50):
        lam = draw(family, rng)(T)
        assert len(lam) == T
        assert all(0.0 <= value <= 1.0 for value in lam)


@pytest.mark.parametrize("family", MIXING)
def test_fit_finds_the_same_floats_from_any_steps(family: str) -> None:
    rng = random.Random(family)
    for _ in range(60):
        T = rng.choice((3, 8, 20, 50))
        table = draw(family, rng)(T)
        shown = {t: 0.0 if table[t] < 1e-10 else table[t] for t in rng.sample(range(T), rng.randint(0, T))}
        found = MIXING[family].fit(shown, T, slope=(5.0, 100.0))
        assert found is not None
        again = found(T)
        assert all((0.0 if again[t] < 1e-10 else again[t]) == value for t, value in shown.items())


def test_fit_refuses_what_no_member_gives() -> None:
    odd = {1: 0.123456789, 2: 0.9, 3: 0.2}
    assert all(family.fit(odd, 10) is None for family in MIXING.values())


def test_known_values() -> None:
    assert HardSigmoid(30.0, 0.5)(4) == (0.0, 0.0, 0.5, 1.0)
    assert HardSigmoid(4.0, 0.5)(4) == (0.0, 0.25, 0.5, 0.75)
    assert Linear(0.5)(4) == (0.0, 0.25, 0.5, 0.75)
    assert Step(0.5)(4) == (0.0, 0.0, 1.0, 1.0)
    assert Piecewise((0.0, 1.0, 0.0))(4) == (0.0, 0.5, 1.0, 0.5)
    assert Sigmoid(10.0, 0.5)(2)[1] == 0.5


def test_sigmoids_of_one_slope_are_equally_steep_in_the_middle() -> None:
    T = 100_000
    soft, hard = Sigmoid(10.0, 0.5)(T), HardSigmoid(10.0, 0.5)(T)
    rise = [lam[T // 2 + 1] - lam[T // 2] for lam in (soft, hard)]
    assert rise[0] == pytest.approx(rise[1], rel=1e-4)


@pytest.mark.parametrize(
    ("make", "rule"),
    [
        (lambda: HardSigmoid(slope=0.0), "`slope` must be positive but got 0.0"),
        (lambda: Sigmoid(slope=float("nan")), "`slope` must be positive but got nan"),
        (lambda: Linear(bias=1.5), r"`bias` must lie in \[0, 1\] but got 1.5"),
        (lambda: Piecewise((0.5,)), "`knots` must hold at least two"),
        (lambda: Piecewise((0.5, 2.0)), r"`knots` must lie in \[0, 1\] but got 2.0"),
    ],
)
def test_members_out_of_range_are_refused(make: object, rule: str) -> None:
    assert callable(make)
    with pytest.raises(SpaceError, match=rule):
        make()
