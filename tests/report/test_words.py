"""A policy in one line."""

import pytest

from frdiff_tune.report.words import describe, rhythm, solver
from tests.report.toy import toy_policy

SITES = {"conv": ("unet.mid_block.resnets.0",)}


@pytest.mark.parametrize(
    ("keyframes", "words"),
    [
        ("1111", "at every step"),
        ("101010", "every 2 steps"),
        ("100100", "every 3 steps"),
        ("1000", "at the first step only"),
        ("1111101000", "denser early"),
        ("1000010111", "denser late"),
        ("1011001101", "unevenly spread"),
        ("1110000111", "denser at both ends"),
        ("1010000000", "denser early"),
    ],
)
def test_rhythm_names_how_keyframes_are_spread(keyframes: str, words: str) -> None:
    assert rhythm(keyframes) == words


def test_full_policy_says_that_every_step_computes() -> None:
    assert describe(toy_policy("1111")) == "4 DDIM steps (trailing), every one computed in full"


def test_jumps_are_counted_and_say_what_stands_in() -> None:
    policy = toy_policy("111010", mixing=(1.0, 1.0, 1.0, 0.0, 1.0, 0.0))
    assert describe(policy) == (
        "6 DDIM steps (trailing); 4 keyframes denser early; 2 steps jump without a network call, the last score held"
    )


def test_forecast_names_the_keyframes_that_it_uses() -> None:
    weights = ((), (1.0,), (2.0, -1.0), (1.0,))
    policy = toy_policy("1101", mixing=(1.0, 1.0, 0.0, 1.0), forecast={"score": weights})
    assert "the score forecast from up to 2 keyframes" in describe(policy)


def test_reuse_and_mixing_are_counted_among_network_calls() -> None:
    policy = toy_policy("101010", mixing=(1.0, 0.5, 1.0, 0.0, 1.0, 0.5), groups=SITES, masks={"conv": "101010"})
    assert describe(policy).endswith("conv reused at 2, scores mixed at 2 of 5 network calls")


def test_unknown_scheduler_keeps_its_name() -> None:
    assert (solver("UniPCMultistepScheduler"), solver("MyOwnScheduler")) == ("UniPC", "MyOwn")
