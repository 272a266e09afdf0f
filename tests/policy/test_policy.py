"""The policy as a value: its rules, its canonical form, its digest, its plan."""

from typing import Any

import pytest

from frdiff_tune.errors import PolicyError
from frdiff_tune.policy import Measured, Provenance
from frdiff_tune.policy.timed import Latency
from tests.policy.toy import toy_policy

NAN = float("nan")

BROKEN: list[tuple[dict[str, Any], str]] = [
    ({"keyframes": "101"}, "length T = 4 but got 3"),
    ({"keyframes": "0110"}, "must begin with 1"),
    ({"keyframes": "1x10"}, "`keyframes`"),
    ({"masks": {"a": "10000"}}, "`masks.a` must have length T = 4 but got 5"),
    ({"masks": {"a": "0100"}}, "`masks.a` must begin with 1"),
    ({"mixing": (1.0, 1.5, 1.0, 0.0)}, r"`mixing\[1\]` must lie in \[0, 1\] but got 1.5"),
    ({"mixing": (1.0, NAN, 1.0, 0.0)}, "finite"),
    ({"mixing": (1.0, True, 1.0, 0.0)}, "`mixing.1`.*True"),
    ({"mixing": (1.0, 0.5)}, "`mixing` must have length T = 4 but got 2"),
    ({"forecast": {"score": ((), (1.0, 0.5), (), (1.0,))}}, r"`forecast.score\[1\]`.*keyframes so far, 1, but got 2"),
    ({"forecast": {"score": ((), (0.0,), (), (1.0,))}}, r"`forecast.score\[1\]` must have a weight other than 0"),
    ({"forecast": {"score": ((), (NAN,), (), (1.0,))}}, "finite"),
    ({"forecast": {"score": ((), (1.0,))}}, "`forecast.score` must have length T = 4 but got 2"),
    ({"forecast": {"b": ((), (), (), ())}}, "must name 'score' or a group but got 'b'"),
    ({"groups": {"a": ()}}, "`groups.a` must name at least one site"),
    ({"groups": {"a": ("unet.b",), "c": ("unet.d",)}}, r"must name the same groups but differ in \['c'\]"),
    ({"groups": {"score": ("unet.b",)}, "masks": {"score": "1000"}}, "must not name a group 'score'"),
    (
        {"groups": {"a": ("unet.b",), "c": ("unet.b.attn",)}, "masks": {"a": "1000", "c": "1000"}},
        "inside each other but got 'unet.b' .a. and 'unet.b.attn' .c.",
    ),
    ({"variable": "noise"}, "`variable`.*noise"),
    ({"colour": "blue"}, "`colour` is not a key"),
    ({"schema_version": 3}, "`schema_version`"),
]


@pytest.mark.parametrize(("changes", "message"), BROKEN)
def test_broken_rules_are_named(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(PolicyError, match=message):
        toy_policy(**changes)


def test_frozen() -> None:
    with pytest.raises(Exception, match="frozen"):
        toy_policy().keyframes = "1111"  # type: ignore[misc]


def test_canonical_form_of_equal_pictures_is_equal() -> None:
    plain = toy_policy()
    other = toy_policy(
        mixing=(0.3, 0.25, 0.0, 1e-11),  # lam is 1 at keyframes whatever is written, and below 1e-10 it is a jump
        groups={"a": ("unet.b",), "always": ("unet.c",)},
        masks={"a": "1001", "always": "1110"},  # a 1 at the jump says nothing, and "always" computes at every call
        forecast={"score": ((), (1.0,), (1.0,), (1.0, 0.0))},  # only holds
    )
    assert other == plain
    assert other.digest == plain.digest
    assert plain.masks == {"a": "1000"}


def test_nested_sites_may_stand_where_one_group_always_computes() -> None:
    policy = toy_policy(groups={"a": ("unet.b",), "c": ("unet.b.attn",)}, masks={"a": "1000", "c": "1110"})
    assert set(policy.groups) == {"a"}


def test_digest_covers_the_picture_and_nothing_else() -> None:
    plain = toy_policy()
    latency = Latency(median_ms=1.0, low_ms=1.0, high_ms=1.0, count=3)
    measured = Measured(
        latency=latency, reference_latency=latency, speedup=1.0, speedup_low=1.0, speedup_high=1.0, quality=(),
        cache_bytes=0, cases="c", case_count=1, held_out=True,
    )
    assert plain.replace(measured=measured, provenance=Provenance(study="s")).digest == plain.digest
    for change in (
        {"keyframes": "1000", "masks": {"a": "1000"}},
        {"mixing": (1.0, 0.5, 1.0, 0.0)},
        {"masks": {"a": "1010"}},
        {"groups": {"a": ("unet.c",)}},
        {"variable": "epsilon"},
        {"forecast": {"score": ((), (1.0,), (), (2.0, -1.0))}},
    ):
        assert plain.replace(**change).digest != plain.digest, change


def test_plan_by_hand() -> None:
    policy = toy_policy(forecast={"score": ((), (1.0,), (), (2.0, -1.0))})
    zero, one, two, three = policy.plan()
    assert policy.nfe == 3
    assert (zero.keyframe, zero.lam, zero.calls, zero.computes) == (True, 1.0, True, {"a"})
    assert (one.keyframe, one.lam, one.weights, one.reuses) == (False, 0.25, (1.0,), {"a"})
    assert (two.keyframe, two.weights, two.reuses) == (True, (), {"a"})
    assert (three.calls, three.weights, three.reuses, three.computes) == (False, (2.0, -1.0), set(), set())
