"""The first-order solver between two noise levels: DDIM, which is Euler in sigma / alpha."""

from collections.abc import Sequence


def first_order(variable: str, alphas: Sequence[float], sigmas: Sequence[float]) -> tuple[float, float]:
    """Returns (c, b) of DDIM, which is Euler in sigma / alpha, for one step between two noise levels.

    Arguments:
        variable: ``sample`` or ``epsilon``: what the prediction is read as.
        alphas: Weight of the clean sample before and after the step.
        sigmas: Weight of the noise before and after the step.

    References:
        | Denoising Diffusion Implicit Models (Song et al., 2021), equation 12 with eta = 0
        | https://arxiv.org/abs/2010.02502
    """
    (a, a_next), (s, s_next) = alphas, sigmas
    if variable == "sample":
        return s_next / s, a_next - a * s_next / s
    return a_next / a, s_next - s * a_next / a
