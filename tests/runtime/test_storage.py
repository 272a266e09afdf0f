"""How features are kept: what the allocator says of it, narrow dtypes, other devices, and how long."""

from typing import Any

import pytest
import torch

from benchmarks.memory import Memory, memory_of
from frdiff_tune import Policy, apply_policy, keyframe_policy
from frdiff_tune.errors import MismatchError
from frdiff_tune.runtime import Taylor, forecast_features
from frdiff_tune.runtime.pipeline import load_pipeline
from frdiff_tune.runtime.storage import Packed, make_storage, unpacked
from tests.pipelines import ROWS
from tests.pipelines.subject import Subject
from tests.runtime.mixed import SD
from tests.runtime.rendering import relative

STEPS = 4


class Pictured:
    """The embedded text-to-image model, whose features are of the size that real ones have beside activations."""

    def __init__(self, device: str = "cpu") -> None:
        self.device = torch.device(device)
        self.pipe = load_pipeline("demo:emoji", device=device)
        self.pipe.set_progress_bar_config(disable=True)
        self.render()
        self.bare = self.memory()

    def render(self, pipe: Any = None) -> torch.Tensor:
        seeded = torch.Generator().manual_seed(0)
        drawn: torch.Tensor = (pipe or self.pipe)(
            prompt="a fox", num_inference_steps=STEPS, generator=seeded, output_type="latent"
        ).images
        return drawn

    def memory(self) -> Memory:
        return memory_of(self.render, self.device)

    def policy(self, *groups: str) -> Policy:
        return keyframe_policy(self.pipe, STEPS, [0, 1, 3], groups=list(groups))


@pytest.fixture(scope="module")
def pictured() -> Pictured:
    return Pictured()


@pytest.mark.parametrize(
    ("groups", "order", "options"),
    [
        (("conv", "attention"), 0, {}),
        (("attention",), 1, {}),
        (("deep",), 1, {}),
        (("guidance",), 0, {}),
        (("conv",), 0, {"cache_dtype": "bfloat16"}),
        (("attention",), 1, {"cache_dtype": torch.float8_e4m3fn}),
    ],
    ids=str,
)
def test_peak_grows_by_what_is_stated(pictured: Pictured, groups: tuple[str, ...], order: int, options: dict[str, Any]) -> None:
    policy = pictured.policy(*groups)
    policy = forecast_features(policy, Taylor(order)) if order else policy
    with apply_policy(pictured.pipe, policy) as applied:
        pictured.render()
        plain_bytes = applied.cache_bytes
    with apply_policy(pictured.pipe, policy, **options) as applied:
        pictured.render()
        found = pictured.memory()
        assert 0 < found.peak - pictured.bare.peak <= 1.02 * applied.cache_bytes
        assert found.left <= pictured.bare.left + 4 * policy.T, "only the table of weights stays while the policy is on"
        narrow = {"cache_dtype": 2 if groups == ("conv",) else 4}.get(next(iter(options), ""), 1)
        assert applied.cache_bytes <= plain_bytes / narrow * 1.01
        assert bool(options) == (applied.cache_bytes < plain_bytes)
    assert pictured.memory() == pictured.bare


def test_keep_alive(pictured: Pictured) -> None:
    with apply_policy(pictured.pipe, pictured.policy("conv"), keep_alive=True) as applied:
        first = pictured.render(applied)
        assert applied.stored_bytes == applied.cache_bytes > 0
        assert torch.equal(pictured.render(applied), first)
        again = pictured.render()
        assert torch.equal(again, first)
        with pytest.raises(RuntimeError, match="stop"):
            applied(prompt="a fox", num_inference_steps=STEPS, callback_on_step_end=_stop)
        assert applied.stored_bytes == 0, "a run that broke off leaves nothing"
    with apply_policy(pictured.pipe, pictured.policy("conv")) as applied:
        assert torch.equal(pictured.render(applied), first)
        assert applied.stored_bytes == 0


def _stop(pipe: Any, step: int, time: Any, tensors: dict[str, Any]) -> dict[str, Any]:
    raise RuntimeError("stop")


@pytest.mark.parametrize(
    ("dtype", "most"), [("float16", 2**-11), ("bfloat16", 2**-8), ("float8_e4m3fn", 2**-4), ("float8_e5m2", 2**-3)]
)
def test_narrow_dtypes(dtype: str, most: float) -> None:
    """Half a unit in the last place, relative; also beyond what the dtype reaches."""
    x = torch.randn(3, 5, 7, generator=torch.Generator().manual_seed(0))
    x[0] *= 1e6
    x[1] = 0.0
    node = make_storage(dtype, None, False).pack(((x, None), x.half()))
    assert isinstance(node[0][0], Packed) and node[0][0].value.dtype == getattr(torch, dtype)
    (wide, nothing), half = unpacked(node)
    assert nothing is None
    assert wide.dtype == torch.float32 and half.dtype == torch.float16
    greatest = x.abs().amax((1, 2), keepdim=True)
    assert ((wide - x).abs() <= most * x.abs() + 2**-9 * greatest).all()
    assert torch.equal(wide[1], x[1])
    assert torch.equal(half, x.half()) or dtype.startswith("float8"), "what has as few bits stays as it is"


def test_every_group_of_every_row_in_eight_bits(subject: Subject) -> None:
    groups = [name for name in subject.groups if name != "guidance"]
    policies = {group: subject.policy([0, 1], groups=[group]) for group in groups}
    plain: dict[str, tuple[torch.Tensor, int]] = {}
    with apply_policy(subject.pipe, policies[groups[0]]) as applied:
        for group in groups:
            plain[group] = subject.render(applied.use(policies[group])), applied.cache_bytes
    with apply_policy(subject.pipe, policies[groups[0]], cache_dtype="float8_e4m3fn") as applied:
        for group in groups:
            found = subject.render(applied.use(policies[group]))
            assert applied.cache_bytes < plain[group][1], group
            assert "LDM" in subject.name or relative(found, plain[group][0]) < 0.1, group  # whose codes are quantised


def test_another_device() -> None:
    """Where that is the network's own, nothing is copied and nothing changes; the way to and from a card needs one."""
    pipe = SD.make()
    policy = forecast_features(keyframe_policy(pipe, SD.steps, [0, 1, 3], groups=["conv", "attention"]), Taylor(1))
    with apply_policy(pipe, policy) as applied:
        wanted = SD.render(applied)
    with apply_policy(pipe, policy, cache_device="cpu") as applied:
        assert torch.equal(SD.render(applied), wanted)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_features_wait_on_the_host() -> None:
    pictured = Pictured("cuda")
    policy = pictured.policy("conv", "attention")
    with apply_policy(pictured.pipe, policy) as applied:
        wanted = pictured.render(applied)
        stated = applied.cache_bytes
    with apply_policy(pictured.pipe, policy, cache_device="cpu") as applied:
        assert torch.equal(pictured.render(applied), wanted)
        assert pictured.memory().peak - pictured.bare.peak < stated / 2, "on the way to and from, one site at a time"


def test_guidance_halves_of_narrow_features() -> None:
    pipe = SD.make()
    policy = keyframe_policy(pipe, SD.steps, [0, 2, 4], groups=["conv", "guidance"])
    policy = policy.replace(masks={"conv": "101010", "guidance": "100000"})
    with apply_policy(pipe, policy) as applied:
        wanted = SD.render(applied)
    with apply_policy(pipe, policy, cache_dtype="float8_e4m3fn") as applied:
        assert relative(SD.render(applied), wanted) < 0.1


def test_what_is_refused() -> None:
    pipe = ROWS["SD text to image"].make()
    policy = keyframe_policy(pipe, SD.steps, [0], groups=["conv"])
    with pytest.raises(MismatchError, match="`cache_dtype` must be one of float16, .* but got 'int8'"):
        apply_policy(pipe, policy, cache_dtype="int8")
    with pytest.raises(MismatchError, match="`cache_device` must be a device of torch, .* but got 'disk'"):
        apply_policy(pipe, policy, cache_device="disk")
    apply_policy(pipe, policy).remove()
