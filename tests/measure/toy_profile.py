"""A profile with numbers that a reader can reckon with: a full network call takes 100 ms."""

from typing import Any

from frdiff_tune.measure import Profile
from frdiff_tune.measure.profile_file import Changes, Combination, Costs, GroupProfile, Operations, ProfiledCall
from frdiff_tune.policy import Figure, Machine, ModelInfo

MODEL = ModelInfo(pipeline="DiTPipeline", denoiser="DiTTransformer2DModel", digest="d" * 64)


def figure(value: float) -> Figure:
    return Figure(value=value, low=value - 0.01, high=value + 0.01)


def group(sites: tuple[str, ...], saved: float, guided: float | None, kind: str = "output") -> GroupProfile:
    return GroupProfile(
        sites=sites,
        kinds=(kind,),
        module_classes=("Attention",),
        saved_ms=figure(100 * saved),
        saved_share=figure(saved),
        guided_share=None if guided is None else figure(guided),
        flops=int(1e9 * saved),
        cache_bytes=2**20,
    )


GROUPS = {
    "block": group(("net.b.0", "net.b.1"), 0.6, 0.8, "residual"),
    "attention": group(("net.b.0.attn", "net.b.1.attn"), 0.2, 0.6),
    "feed_forward": group(("net.b.0.ff", "net.b.1.ff"), 0.3, 0.65),
    "guidance": group(("guidance",), 0.5, None, "guidance"),
}
TOGETHER = Combination(groups=("attention", "feed_forward"), saved_share=figure(0.45), guided_share=figure(0.7))


def toy_profile(**changes: Any) -> Profile:  # noqa: ANN401
    """Returns the profile; 4 steps of 98 ms and 50 ms outside them are the bare pipeline's call."""
    fields: dict[str, Any] = {
        "model": MODEL,
        "machine": Machine(device="cpu", cpu="Some CPU", cores=2, torch="2.9", diffusers="0.42", dtype="float32", batch=1),
        "call": ProfiledCall(
            num_inference_steps=4, T=4, scheduler="DDIMScheduler", batch=1, arguments={"guidance_scale": 4.0}, capture="eager"
        ),
        "rounds": 5,
        "costs": Costs(
            outside_ms=figure(50),
            step_ms=figure(98),
            call_ms=figure(100),
            after_jump_ms=figure(1),
            jump_ms={"DDIMScheduler": figure(2), "EulerDiscreteScheduler": figure(5)},
            forecast_ms=figure(0.5),
            convert_ms=figure(0.25),
            mix_ms=figure(0.75),
        ),
        "groups": GROUPS,
        "combinations": (TOGETHER,),
        "guidance_share": figure(0.5),
        "site_ms": {
            "net.b.0": 30.0, "net.b.1": 30.0, "net.b.0.attn": 5.0, "net.b.1.attn": 15.0, "net.b.0.ff": 15.0, "net.b.1.ff": 15.0,
            "net.last": 4.0,
        },
        "operations": Operations(step=10**9, call=5 * 10**9),
        "similarity": Changes(
            cases=2, entries=64, bound_bytes=2**20, change={"attention": ((), (0.5,), (0.6, 0.25), (0.7, 0.5, 0.125))}
        ),
    }  # fmt: skip
    return Profile(**fields | changes)
