"""The sections of a policy file that say what weights were fitted on, and how far a policy holds."""

from typing import Annotated

from pydantic import Field, Strict

from frdiff_tune.policy.section import Count, Number, Section
from frdiff_tune.policy.timed import Figure


class Fit(Section):
    """What the weights of a policy's scheduler were fitted on.

    Arguments:
        cases: Digest of the cases.
        count: Cases.
        seeds: Their seeds.
        guidance_scale: Scale of classifier-free guidance; None where the call has none.
        sample_shape: Shape of one sample that the scheduler walks, without the batch: the size that was fitted at.
        num_inference_steps: The reference's.
        memory: Predictions that a step weighs at most, K.
        ridge: Pull towards the first-order solver, as a share of the predictions' energy.
        residuals: Per step, the median over cases of |next state - reference's| / |reference's|; length T.
        latent_error: Geometric mean over cases of the last state's relative distance from the reference's.
        first_order_error: The same of the first-order solver on the same grid; None where it was not run.
    """

    cases: str
    count: Count
    seeds: tuple[Annotated[int, Strict()], ...]
    guidance_scale: Number | None = None
    sample_shape: tuple[Annotated[int, Strict(), Field(ge=1)], ...] | None = None
    num_inference_steps: Annotated[int, Strict(), Field(ge=1)]
    memory: Annotated[int, Strict(), Field(ge=1)]
    ridge: Number
    residuals: tuple[Number, ...]
    latent_error: Number
    first_order_error: Number | None = None


class Validity(Section):
    """LPIPS in one other call, against the reference of the same call.

    Arguments:
        call: What differs from the call that the policy was tuned for, as ``guidance_scale 15``.
        count: Images; 0 where the call cannot be measured.
        lpips: Mean LPIPS under the policy, with its 95 % interval.
        fewer_steps: The same of as many steps of the pipeline's own scheduler.
        reason: Why the call cannot be measured; empty where it was.
    """

    call: str
    count: Count
    lpips: Figure | None = None
    fewer_steps: Figure | None = None
    reason: str = ""
