"""What many tests put on: a policy that reuses, mixes and jumps, on a tiny Stable Diffusion."""

from typing import Any

from frdiff_tune import keyframe_policy
from frdiff_tune.policy import Policy
from tests.pipelines import ROWS

SD = ROWS["SD text to image"]


def mixed(pipe: Any) -> Policy:
    """Reuses everything that FRDiff does at step 1, mixes at 3, jumps at 5."""
    return keyframe_policy(pipe, SD.steps, [0, 2, 4], [1, 1, 1, 0.5, 1, 0])
