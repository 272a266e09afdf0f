"""Latencies that are foretold, from a profile that a reader can reckon with."""

from collections.abc import Mapping
from typing import Any

import pytest

from frdiff_tune.errors import MeasureError
from frdiff_tune.measure import CostModel
from frdiff_tune.policy import ModelInfo, Policy, Sampling, SchedulerInfo
from tests.measure.toy_profile import MODEL, TOGETHER, figure, toy_profile

SITES = {
    "attention": ("net.b.0.attn", "net.b.1.attn"),
    "feed_forward": ("net.b.0.ff", "net.b.1.ff"),
    "block": ("net.b.0", "net.b.1"),
    "guidance": ("guidance",),
    "first": ("net.b.0.attn",),
    "last": ("net.last",),
}


def policy(masks: Mapping[str, str], T: int = 4, solver: str = "DDIMScheduler", **tables: Any) -> Policy:
    sampling = Sampling(num_inference_steps=T, T=T, scheduler=SchedulerInfo(name=solver, config={}))
    fields: dict[str, Any] = {"keyframes": "1" + "0" * (T - 1), "mixing": (1.0,) * T}
    groups = {name: SITES[name] for name in masks}
    return Policy(model=MODEL, sampling=sampling, groups=groups, masks=dict(masks), **fields | tables)


def latency(masks: Mapping[str, str], **tables: Any) -> float:
    return CostModel.of(toy_profile()).latency_ms(policy(masks, **tables))


def test_full_steps() -> None:
    """Whatever computes everything costs the same under a policy, 2 ms a step more than bare."""
    assert latency({}) == 50 + 4 * 100
    assert CostModel.of(toy_profile()).speedup(policy({})) == pytest.approx((50 + 4 * 98) / 450)
    assert latency({}, T=7) == 50 + 7 * 100


def test_jumps_and_the_call_after_one() -> None:
    """Steps: full, jump, jump, full."""
    assert latency({}, keyframes="1001", mixing=(1.0, 0.0, 0.0, 1.0)) == 50 + 100 + 2 + 2 + (100 + 1)


def test_solvers_differ_by_their_jumps() -> None:
    """One that was not profiled counts as the pipeline's own."""
    tables: dict[str, Any] = {"keyframes": "1010", "mixing": (1.0, 0.0, 1.0, 1.0)}
    assert latency({}, solver="EulerDiscreteScheduler", **tables) == 50 + 103 + 5 + (103 + 1) + 103
    assert latency({}, solver="HeunDiscreteScheduler", **tables) == latency({}, **tables)


def test_mixing_forecasts_and_conversion() -> None:
    """Steps: keyframe, keyframe, mixed from two keyframes, jump from two."""
    weights = ((), (), (2.0, -1.0), (3.0, -2.0))
    tables: dict[str, Any] = {"keyframes": "1100", "mixing": (1.0, 1.0, 0.5, 0.0), "forecast": {"score": weights}}
    assert latency({}, **tables) == 50 + 100 + 100 + (100 + 0.75 + 0.5) + (2 + 0.5)
    assert latency({}, variable="epsilon", **tables) == latency({}, **tables) + 4 * 0.25


@pytest.mark.parametrize(
    ("names", "saved"),
    [
        (("attention",), 0.2),
        (("block",), 0.6),
        (("attention", "feed_forward"), 0.45),  # profiled together
        (("guidance",), 0.5),
        (("guidance", "attention"), 0.6),
        (("guidance", "attention", "feed_forward"), 0.7),
        (("first",), 0.2 * 5 / 20),  # its part of the group by the time of its own modules
        (("last",), 4.0 * 0.01),  # in no group: what a ms of modules saves in the others
        (("first", "feed_forward"), 0.05 + 0.3 - 0.05 / (0.2 * 0.3) * 0.05 * 0.3),  # overlap from the two that were profiled
        (("guidance", "first", "feed_forward"), 0.5 + 0.025 + 0.15 - 1.0 * 0.025 * 0.15),  # an overlap above 1 counts as 1
    ],
)
def test_reuse(names: tuple[str, ...], saved: float) -> None:
    """Steps: full, then reuse, twice."""
    masks = dict.fromkeys(names, "100")
    assert latency(masks, T=3) == pytest.approx(50 + 100 + 2 * 100 * (1 - saved))


def test_a_group_by_another_name_is_known_by_its_sites() -> None:
    renamed = policy({"attention": "1000"}).replace(groups={"mine": SITES["attention"]}, masks={"mine": "1000"})
    assert CostModel.of(toy_profile()).latency_ms(renamed) == latency({"attention": "1000"})


def test_a_block_and_what_lies_outside_it_save_what_was_profiled() -> None:
    """The first block with the second one's attention, profiled as "first block" and "attention"; and a third group beside."""
    first = toy_profile().groups["block"].model_copy(update={"sites": ("net.b.0",), "saved_share": figure(0.3)})
    both = TOGETHER.model_copy(update={"groups": ("first block", "attention"), "saved_share": figure(0.4)})
    model = CostModel.of(toy_profile(groups={**toy_profile().groups, "first block": first}, combinations=(TOGETHER, both)))
    sites = {"x": ("net.b.0",), "y": ("net.b.1.attn",), "z": ("net.b.1.ff",)}
    two = policy({}).replace(groups={name: sites[name] for name in "xy"}, masks=dict.fromkeys("xy", "1110"))
    assert model.latency_ms(two) == pytest.approx(50 + 300 + 60)
    three = policy({}).replace(groups=sites, masks=dict.fromkeys("xyz", "1110"))
    y, z, overlap = 0.15, 0.15, 0.05 / 0.06
    assert model.latency_ms(three) == pytest.approx(50 + 300 + 100 * (1 - (0.4 + z - overlap * (0.3 * z + y * z))))


def test_groups_never_save_more_than_all() -> None:
    everything = TOGETHER.model_copy(update={"saved_share": figure(1.2)})
    found = CostModel.of(toy_profile(combinations=(everything,))).latency_ms(
        policy(dict.fromkeys(("attention", "feed_forward"), "1000"))
    )
    assert found > 150


def test_what_is_refused() -> None:
    model = CostModel.of(toy_profile())
    with pytest.raises(MeasureError, match="must be for the profiled model"):
        model.latency_ms(policy({}).replace(model=ModelInfo(pipeline="P", denoiser="D", digest="e")))
    strange = policy({"attention": "1000"}).replace(groups={"mine": ("net.c",)}, masks={"mine": "1000"})
    with pytest.raises(MeasureError, match=r"must reuse sites of the profiled model but got 'net\.c'"):
        model.latency_ms(strange)
