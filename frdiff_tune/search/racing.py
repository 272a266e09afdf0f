"""Racing: a candidate that the front surely beats is not measured to its end.

After each block of cases a candidate is compared, on the cases that it has drawn, with every member of the front that is surely
not slower. Ranks of log ratios are tested, not means: one picture that flips to another composition carries a mean, but moves
one rank.

    d[i] = log(candidate[i] / member[i]),    stopped if Wilcoxon's signed-rank test rejects "d lies at or below 0"

at the study's level for one of the members. Of m members that are compared after each of B blocks but the last, each test has
the level divided by m (B - 1), so the chance to stop one that none of them beats is at most the level (Bonferroni).

The front is one of means, though, and a member whose pictures flip on later cases may have a high one. So a candidate is only
stopped if its mean so far is no lower than the member's over all cases.

References:
    | Individual Comparisons by Ranking Methods (Wilcoxon, 1945), https://doi.org/10.2307/3001968
    | F-Race and Iterated F-Race: An Overview (Birattari et al., 2010), https://doi.org/10.1007/978-3-642-02538-9_13
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

import numpy as np

from frdiff_tune.measure import Interval, Measurement
from frdiff_tune.search.volume import FLOOR

FEWEST = 6
"""Pairs with which the test can reject at all: six that agree have p = 1/64."""


@dataclass(frozen=True, slots=True)
class Member:
    """A policy of the front.

    Arguments:
        number: Of its trial.
        latency_ms: Its latency, in milliseconds.
        blocks: All that was measured of it.
    """

    number: int
    latency_ms: Interval
    blocks: Sequence[Measurement]


@dataclass(frozen=True, slots=True)
class Race:
    """How candidates race.

    Arguments:
        level: Chance to stop a candidate that nothing on the front beats, at most; 0: none is stopped.
        metric: The paired metric that is compared; lower values are better.
    """

    level: float
    metric: str = "lpips"

    def beaten_by(
        self, candidate: Sequence[Measurement], latency_ms: Interval, front: Sequence[Member], blocks: int
    ) -> Member | None:
        """Returns a member of the front that surely beats a candidate, if there is one.

        Arguments:
            candidate: The candidate's blocks so far.
            latency_ms: Its latency, in milliseconds.
            front: The members.
            blocks: Blocks of a whole measurement.
        """
        if self.level <= 0 or blocks < 2:
            return None
        rivals = [member for member in front if member.latency_ms.value <= latency_ms.low]
        level = self.level / max(len(rivals) * (blocks - 1), 1)
        mean = fmean(self._by_case(candidate).values())
        able = (each for each in rivals if each.blocks and fmean(self._by_case(each.blocks).values()) <= mean)
        return next((member for member in able if self._p(candidate, member.blocks) < level), None)

    def _p(self, candidate: Sequence[Measurement], member: Sequence[Measurement]) -> float:
        """Returns the p-value of "the candidate is no worse on the cases that both have drawn"."""
        ours, theirs = self._by_case(candidate), self._by_case(member)
        both = [case for case in ours if case in theirs]
        ratios = np.log([max(ours[case], FLOOR) / max(theirs[case], FLOOR) for case in both])
        ratios = ratios[ratios != 0.0]
        if len(ratios) < FEWEST:
            return 1.0
        from scipy.stats import wilcoxon

        return float(wilcoxon(ratios, alternative="greater").pvalue)

    def _by_case(self, blocks: Sequence[Measurement]) -> Mapping[str, float]:
        return {case: value for block in blocks for case, value in zip(block.cases, block.values[self.metric], strict=True)}
