"""Forecasting of features: what a group gives back is the weighted sum of what it kept, on every pipeline of the table."""

from typing import Any

import pytest
import torch
from torch import Tensor

from frdiff_tune import apply_policy, frdiff_policy, keyframe_policy
from frdiff_tune.errors import MismatchError, PolicyError
from frdiff_tune.runtime import Chebyshev, Hermite, Taylor, forecast_features
from tests.pipelines import ROWS
from tests.pipelines.subject import Subject
from tests.runtime.mixed import SD, guidance_ends
from tests.runtime.rendering import relative


@pytest.mark.parametrize("basis", [Taylor(1), Hermite(2, 0.5), Chebyshev(1, 3, 0.1)], ids=repr)
def test_by_hand(basis: Any) -> None:
    """The toy's mixers: outputs at keyframes are recorded, those in between must be their weighted sums."""
    toy = ROWS["a toy of the tests' own"]
    pipe = toy.make()
    policy = forecast_features(keyframe_policy(pipe, 6, [0, 2, 3], groups=["mixing"]), basis)
    gave: list[Tensor] = []
    handle = pipe.transformer.layers[1].mixer.register_forward_hook(lambda *given: gave.append(given[2]))
    with apply_policy(pipe, policy) as applied:
        toy.render(applied)
        assert applied.trace.mask("mixing") == "101100"
        assert applied.trace.forced == ()
    handle.remove()
    assert torch.equal(gave[1], gave[0]), "after one step a trend is not known"
    for t in (4, 5):
        weights = policy.forecast["mixing"][t]
        assert len(weights) == min(basis.nodes, 3)
        kept = [gave[k] for k in (3, 2, 0)]
        wanted = sum(w * part for w, part in zip(weights, kept, strict=False))
        assert isinstance(wanted, Tensor)
        assert relative(gave[t], wanted) < 1e-6
        assert relative(gave[t], gave[3]) > 1e-6


def test_every_group_of_every_row_can_be_forecast(subject: Subject) -> None:
    T = subject.row.T
    for group in [name for name in subject.groups if name not in ("guidance", "controlnet")]:
        held = subject.policy([0, 1], groups=[group])
        policy = forecast_features(held, Taylor(1))
        with apply_policy(subject.pipe, held) as applied:
            constant = subject.render(applied)
            held_bytes = applied.cache_bytes
            applied.use(policy)
            picture = subject.render(applied)
            assert "ControlNet" in subject.name or applied.cache_bytes == 2 * held_bytes, group
            assert torch.isfinite(picture).all(), group
            assert "LDM" in subject.name or not torch.equal(picture, constant), group  # whose codes are quantised
            if not applied.trace.forced:
                assert applied.trace.mask(group) == "11" + "0" * (T - 2), group
            assert torch.equal(subject.render(applied), picture), group


def test_a_pass_that_was_forced_forgets_its_trend() -> None:
    """Guidance that ends after step 2 makes step 3 compute: one node of the new shape is held until there are two."""
    pipe = SD.make()
    policy = forecast_features(keyframe_policy(pipe, SD.steps, [0, 1], groups=["conv"]), Taylor(1))
    with apply_policy(pipe, policy) as applied:
        first = SD.render(applied, **guidance_ends())
        assert applied.trace.mask("conv") == "110111", "the nodes that the weights are for never come"
        assert applied.trace.forced == (3, 4, 5)
        assert torch.equal(SD.render(applied, **guidance_ends()), first)


def test_what_is_refused() -> None:
    pipe = SD.make()
    policy = keyframe_policy(pipe, SD.steps, [0, 1, 3], groups=["conv", "guidance"])
    forecast = forecast_features(policy, Taylor(1))
    assert set(forecast.forecast) == {"conv"}
    with pytest.raises(PolicyError, match=r"can be forecast but got 'guidance'. It has \['conv'\]"):
        forecast_features(policy, Taylor(1), ["guidance"])
    with pytest.raises(PolicyError, match="`basis` must have one for each of `groups` but has none for 'conv'"):
        forecast_features(policy, {}, ["conv"])
    with pytest.raises(PolicyError, match="can be forecast but got 'odd'"):
        forecast_features(policy, {"odd": Taylor(1)})
    rows = tuple((2.0, -1.0) if t in (2, 4, 5) else () for t in range(SD.steps))
    with pytest.raises(MismatchError, match="must not name 'guidance'"):
        apply_policy(pipe, policy.replace(forecast={"guidance": rows}))


def test_every_group_may_have_a_basis_of_its_own() -> None:
    policy = keyframe_policy(SD.make(), SD.steps, [0, 1, 3], groups=["conv", "attention"])
    mixed = forecast_features(policy, {"conv": Taylor(1), "attention": Hermite(1, 0.3)})
    assert mixed.forecast["conv"] == forecast_features(policy, Taylor(1)).forecast["conv"]
    assert mixed.forecast["attention"] == forecast_features(policy, Hermite(1, 0.3)).forecast["attention"]
    one = forecast_features(policy, {"conv": Taylor(1)})
    assert set(one.forecast) == {"conv"}, "what has no basis stays as it was"
    assert forecast_features(policy, Taylor(1), ["conv"]).digest == one.digest


def test_held_weights_change_nothing() -> None:
    pipe = SD.make()
    policy = frdiff_policy(pipe, SD.steps, 2)
    assert forecast_features(policy, Taylor(0)).digest == policy.digest
