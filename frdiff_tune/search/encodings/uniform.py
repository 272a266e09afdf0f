"""Keyframes at a fixed interval: FRDiff's own."""

from collections.abc import Sequence
from functools import cached_property

from frdiff_tune.search.encodings._base import Encoding, Numbers, Parameters


class Uniform(Encoding):
    """Keyframes at 0, M, 2 M, ... where M is ``interval``.

    References:
        | FRDiff: Feature Reuse for Universal Training-free Acceleration of Diffusion Models (So et al., 2024), section 4.1
        | https://arxiv.org/abs/2312.03517
    """

    @cached_property
    def parameters(self) -> dict[str, Numbers]:
        """The interval, in steps."""
        return {"interval": Numbers(*self.bounds.interval)}

    def decode(self, params: Parameters, T: int) -> tuple[int, ...]:
        """Returns every ``interval``-th step."""
        return tuple(range(0, T, int(params["interval"])))

    def encode(self, keyframes: Sequence[int], T: int) -> dict[str, float]:
        """Returns the set's own interval, or its mean one."""
        low, high = self.bounds.interval
        own = keyframes[1] - keyframes[0] if len(keyframes) > 1 else high
        interval = own if tuple(keyframes) == tuple(range(0, T, own)) else round(T / len(keyframes))
        return {"interval": min(max(interval, low), high)}
