"""What many tests put on or call with: a policy that reuses, mixes and jumps on a tiny Stable Diffusion; guidance that ends."""

from typing import Any

from frdiff_tune import keyframe_policy
from frdiff_tune.policy import Policy
from tests.pipelines import ROWS

SD = ROWS["SD text to image"]


def mixed(pipe: Any) -> Policy:
    """Reuses everything that FRDiff does at step 1, mixes at 3, jumps at 5."""
    return keyframe_policy(pipe, SD.steps, [0, 2, 4], [1, 1, 1, 0.5, 1, 0])


def guidance_ends(after: int = 2) -> dict[str, Any]:
    """Returns call arguments under which a callback switches guidance off: a pair of samples becomes one."""

    def off(pipe: Any, step: int, time: Any, tensors: dict[str, Any]) -> dict[str, Any]:
        if step == after:
            pipe._guidance_scale = 1.0
            tensors["prompt_embeds"] = tensors["prompt_embeds"].chunk(2)[1]
        return tensors

    return {"callback_on_step_end": off, "callback_on_step_end_tensor_inputs": ["latents", "prompt_embeds"]}
