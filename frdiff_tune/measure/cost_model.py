"""The cost model: the latency of any policy before it runs, from a profile.

    latency = outside + sum over steps of
        jump[solver] + forecast                              where the network is not called
        call - saved + (jump[solver] - jump[own]) + mixing   where it is

A network call saves, as shares of a full one, what its reused groups save alone, each as profiled; a group that was not
profiled saves the sum over its sites, each its part of what its kind saves, by the time of its own modules. Groups together
save less than the sum: each two by as much as was profiled, else by ``overlap`` times the product of what they save. Where the
guidance pair is reused as well, that saves its own share, and groups what they save of the half that is left.

Weighted sums of features (forecasts of groups) and the copies of a guidance half cost a little that is left out.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import combinations
from statistics import median
from typing import Self

from frdiff_tune.errors import MeasureError
from frdiff_tune.measure.profile_courses import outermost
from frdiff_tune.measure.profile_file import Combination, GroupProfile, Profile
from frdiff_tune.policy import Policy
from frdiff_tune.runtime.families import GUIDANCE

Sites = frozenset[str]
MOST = 0.999  # of a network call, that reuse can save


@dataclass(frozen=True, slots=True)
class Table:
    """What reuse saves, as shares of a full network call: of the whole batch, or where the guidance pair is reused as well.

    Arguments:
        base: What is saved already: 0, or what the guidance pair saves.
        profiled: Sites that were profiled at once -> what is saved in all.
        sites: Site -> what it saves beside ``base``.
        overlap: How much less two groups save together than apart, over the product of what they save.
    """

    base: float
    profiled: Mapping[Sites, float]
    sites: Mapping[str, float]
    overlap: float

    def saved(self, groups: Iterable[Sites]) -> float:
        """Returns what is saved in all where groups are reused at once."""
        chosen = list(groups)
        known = self.profiled.get(frozenset().union(*chosen))
        if known is not None:
            return known
        apart = sum(self.alone(sites) for sites in chosen)
        return self.base + apart - sum(self._less(a, b) for a, b in combinations(chosen, 2))

    def _less(self, a: Sites, b: Sites) -> float:
        """Returns how much less two groups save together than apart."""
        apart = self.alone(a), self.alone(b)
        known = self.profiled.get(a | b)
        return self.overlap * apart[0] * apart[1] if known is None else sum(apart) + self.base - known

    def alone(self, sites: Sites) -> float:
        """Returns what one group saves beside ``base``.

        Raises:
            MeasureError: If one of its sites is none of the profiled model.
        """
        if sites in self.profiled:
            return self.profiled[sites] - self.base
        for site in sites:
            if site not in self.sites:
                raise MeasureError(
                    f"`policy` must reuse sites of the profiled model but got {site!r}. Profile the pipeline that it is for."
                )
        return sum(self.sites[site] for site in sites)


class CostModel:
    """Predicts latencies; a prediction takes well under a millisecond.

    Arguments:
        profile: What it is made from.
    """

    def __init__(self, profile: Profile) -> None:
        self.profile = profile
        self._whole = _table(profile, guided=False)
        self._guided = _table(profile, guided=True) if profile.guidance_share is not None else self._whole
        self._shares: dict[frozenset[Sites], float] = {}

    @classmethod
    def of(cls, profile: Profile) -> Self:
        """Returns the cost model of a profile."""
        return cls(profile)

    def latency_ms(self, policy: Policy) -> float:
        """Returns the latency of a call of the profiled kind under a policy, in ms.

        Arguments:
            policy: For the profiled model; its step count, solver and groups may be any.

        Raises:
            MeasureError: If it is for another model.
        """
        if policy.model.digest != self.profile.model.digest:
            raise MeasureError(
                f"`policy` must be for the profiled model, {self.profile.model.denoiser} {self.profile.model.digest[:12]}, but "
                f"is for {policy.model.denoiser} {policy.model.digest[:12]}. Profile the pipeline that it is for."
            )
        costs, own = self.profile.costs, self.profile.call.scheduler
        jump_ms = costs.jump_ms.get(policy.sampling.scheduler.name, costs.jump_ms[own]).value
        call_ms = costs.call_ms.value + jump_ms - costs.jump_ms[own].value
        convert_ms = costs.convert_ms.value if policy.variable != "output" else 0.0
        groups = {name: frozenset(sites) for name, sites in policy.groups.items()}
        total, jumped = costs.outside_ms.value, False
        for step in policy.plan():
            if step.calls:
                saved = self._share(frozenset(groups[name] for name in step.reuses)) if step.reuses else 0.0
                total += call_ms - saved * costs.call_ms.value + (costs.after_jump_ms.value if jumped else 0.0)
                total += costs.mix_ms.value if step.weights else 0.0
                total += convert_ms if step.keyframe else 0.0
            else:
                total += jump_ms
            if step.weights:
                total += (len(step.weights) - 1) * costs.forecast_ms.value + convert_ms
            jumped = not step.calls
        return total

    def speedup(self, policy: Policy) -> float:
        """Returns how many times faster a call under a policy is than the bare pipeline's full run.

        Raises:
            MeasureError: If the policy is for another model.
        """
        return self.profile.reference_ms / self.latency_ms(policy)

    def _share(self, groups: frozenset[Sites]) -> float:
        """Returns which share of a full network call is saved by groups that are reused at once."""
        if groups not in self._shares:
            inner = [sites - {GUIDANCE} for sites in groups if sites != {GUIDANCE}]
            guided = any(GUIDANCE in sites for sites in groups)
            self._shares[groups] = min((self._guided if guided else self._whole).saved(inner), MOST)
        return self._shares[groups]


def _table(profile: Profile, guided: bool) -> Table:
    """Returns what a profile says of the whole batch, or of calls that reuse the guidance pair as well."""
    inner = {name: group for name, group in profile.groups.items() if set(group.sites) != {GUIDANCE}}
    base = profile.guidance_share.value if guided and profile.guidance_share is not None else 0.0
    shares = {name: _value(group, guided) for name, group in inner.items()}
    profiled = {frozenset[str](): base} | {frozenset(group.sites): shares[name] for name, group in inner.items()}
    pairs = []
    for combination in profile.combinations:
        each = [shares[name] - base for name in combination.groups]
        found = _value(combination, guided)
        sites = [site for name in combination.groups for site in inner[name].sites]
        profiled[outermost(sites)] = found
        if len(outermost(sites)) == len(sites):  # else a part of a group was reused, which was not profiled alone
            pairs.append((sum(a * b for a, b in combinations(each, 2)), sum(each) + base - found))
    square = sum(product * product for product, _ in pairs)
    overlap = sum(product * less for product, less in pairs) / square if square else 0.0
    beside = {name: share - base for name, share in shares.items()}
    return Table(base, profiled, _site_shares(profile, inner, beside), min(max(overlap, 0.0), 1.0))


def _value(found: GroupProfile | Combination, guided: bool) -> float:
    return found.guided_share.value if guided and found.guided_share is not None else found.saved_share.value


def _site_shares(profile: Profile, groups: Mapping[str, GroupProfile], shares: Mapping[str, float]) -> dict[str, float]:
    """Returns what each site saves: its part of what a group of its kind does, else what is usual for its modules' time."""
    found: dict[str, float] = {}
    ratios = []
    for name in sorted(groups, key=lambda name: (len(groups[name].kinds), -len(groups[name].sites))):
        sites = groups[name].sites
        times = {site: profile.site_ms.get(site, 0.0) for site in sites}
        whole = sum(times.values())
        if whole > 0:
            ratios.append(shares[name] / whole)
        for site in sites:
            part = times[site] / whole if whole > 0 else 1 / len(sites)
            found.setdefault(site, shares[name] * part)
    usual = median(ratios) if ratios else 0.0
    return {site: ms * usual for site, ms in profile.site_ms.items()} | found
