"""A free keyframe set, written as the gaps between its members."""

from collections.abc import Sequence
from functools import cached_property
from itertools import pairwise

from frdiff_tune.search.encodings._base import Encoding, Numbers, Parameters


class Keyframes(Encoding):
    """Keyframes at 0, g1, g1 + g2, ... while they are less than T, where gi is ``gap_01``, ``gap_02``, ...

    Any set within the bounds of the count can be written. Gaps are a smooth way to do so: a model that looks at one gap at a
    time learns "short ones first, long ones later", a small change of one gap keeps the others and shifts only what comes
    later, where it matters least, and a set's size follows from its gaps. Where gaps would end the run with too few
    keyframes, they are cut so that the fewest allowed still fit.
    """

    @cached_property
    def parameters(self) -> dict[str, Numbers]:
        """One gap per keyframe after the first, in steps, on the log scale: from 1 to 2 matters as from 8 to 16."""
        largest = min(self.bounds.count[1], self.bounds.longest)
        return {f"gap_{i:02d}": Numbers(1, self.bounds.longest, log=True) for i in range(1, largest)}

    def decode(self, params: Parameters, T: int) -> tuple[int, ...]:
        """Returns the keyframes that the gaps lead to."""
        fewest = min(self.bounds.count[0], T)
        keyframes = [0]
        for i, name in enumerate(self.parameters, 1):
            t = keyframes[-1] + int(params[name])
            if i < fewest:
                t = min(t, T - fewest + i)
            if t >= T:
                break
            keyframes.append(t)
        return tuple(keyframes)

    def encode(self, keyframes: Sequence[int], T: int) -> dict[str, float]:
        """Returns the set's gaps; after the one that leaves the run, the last gap goes on."""
        gaps = [later - earlier for earlier, later in pairwise(keyframes)]
        rest = [T - keyframes[-1], *[gaps[-1] if gaps else T] * len(self.parameters)]
        return dict(zip(self.parameters, gaps + rest, strict=False))
