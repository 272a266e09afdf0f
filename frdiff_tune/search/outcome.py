"""One finished trial: what was tried, and what was measured of it."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Self

from optuna.trial import FrozenTrial, TrialState

from frdiff_tune.measure import COUNTERS, REASONS, Failure, Interval, Reason, Result, figure_names
from frdiff_tune.policy import Policy
from frdiff_tune.runtime import Capture
from frdiff_tune.search.cost_figure import images_per_s, mib

SEARCHED = "searched"
"""The family of what the sampler proposed."""
KNOWN = "known: "
"""The families of policies that people use today begin with it."""
POLISHED = "polished"
"""The family of policies whose forecast weights were moved by descent."""
POLISHED_FROM = "polished_from"
"""Attribute of such a trial: number of the trial that it comes from."""
POLICY = "policy"
"""Attribute of a trial whose policy is not what its parameters decode to: its digest in the ledger."""
SO_FAR = "so_far"
"""What was measured of a trial that was stopped early; samplers learn from it, nothing shows it."""

FORESEEN = "foreseen"
"""Attribute of trials that earlier versions pruned before they started; nothing shows them."""


@dataclass(frozen=True, slots=True)
class EndedTrial:
    """What is known of every trial that has ended.

    Arguments:
        number: Of Optuna's trial.
        family: ``known: ...`` and ``starting: ...`` for starting points, ``polished``, else ``searched``.
        digest: The policy's digest.
        nfe: Steps that call the network.
        params: The trial's parameters.
        capture: How the network was launched.
        duplicate_of: Number of an earlier trial with the same policy, which ended in the same way.
    """

    number: int
    family: str
    digest: str
    nfe: int
    params: Mapping[str, Any] = field(kw_only=True)
    capture: Capture = field(default="eager", kw_only=True)
    duplicate_of: int | None = field(default=None, kw_only=True)

    @property
    def known(self) -> bool:
        """Whether it is a policy that people use today, not one of ours."""
        return self.family.startswith(KNOWN)

    @classmethod
    def read(cls, trial: FrozenTrial) -> Self:
        """Returns what an ended trial was, from its attributes."""
        kept = trial.user_attrs
        return cls(
            number=trial.number,
            family=kept.get("family", SEARCHED),
            digest=kept["digest"],
            nfe=kept["nfe"],
            params=trial.params,
            capture=what(trial)[1],
            duplicate_of=kept.get("duplicate_of"),
            **cls._more(kept),
        )

    @classmethod
    def _more(cls, kept: Mapping[str, Any]) -> dict[str, Any]:
        """Returns the fields that only this way to end has."""
        return {}


@dataclass(frozen=True, slots=True)
class TrialOutcome(EndedTrial):
    """A finished trial.

    Arguments:
        latency_ms: Wall time of one call, in milliseconds, with its 95 % interval.
        speedup: The reference's latency over this one's, with its interval.
        figures: Quality figures by name, as ``lpips_p90``, each with its interval.
        count: Pictures compared.
        cache_bytes: Bytes that a run stored at its most.
        costs: Further figures of cost by name: pictures per second, and what was counted.
    """

    latency_ms: Interval
    speedup: Interval
    figures: Mapping[str, Interval]
    count: int
    cache_bytes: int
    costs: Mapping[str, Interval] = field(default_factory=dict, kw_only=True)

    @property
    def lpips(self) -> Interval:
        """Mean LPIPS against the reference."""
        return self.figures["lpips"]

    def figure(self, name: str) -> Interval:
        """Returns a figure by the name that an objective or a limit gives it."""
        costs = {"latency_ms": self.latency_ms, "speedup": self.speedup, "cache_mib": mib(self.cache_bytes), **self.costs}
        return costs[name] if name in costs else self.figures[name]

    @classmethod
    def _more(cls, kept: Mapping[str, Any]) -> dict[str, Any]:
        return {
            "latency_ms": Interval(*kept["latency_ms"]),
            "speedup": Interval(*kept["speedup"]),
            "figures": {name: Interval(*kept[name]) for name in figure_names() if name in kept},
            "count": kept["count"],
            "cache_bytes": kept["cache_bytes"],
            "costs": {name: Interval(*kept[name]) for name in ("images_per_s", *COUNTERS) if name in kept},
        }


@dataclass(frozen=True, slots=True)
class TrialFailure(EndedTrial):
    """A trial whose policy could not be measured to its end: infeasible, and counted in the budget.

    Arguments:
        reason: ``out_of_memory``, ``not_finite``, ``black`` or ``raised``.
        message: What was said.
    """

    reason: Reason
    message: str

    def __str__(self) -> str:
        return f"{REASONS[self.reason]} ({self.message})"

    @classmethod
    def _more(cls, kept: Mapping[str, Any]) -> dict[str, Any]:
        return {"reason": kept["reason"], "message": kept["failure"]}


@dataclass(frozen=True, slots=True)
class TrialStopped(EndedTrial):
    """A trial that was stopped before all cases were drawn: another policy surely beats it. It counts in the budget.

    Arguments:
        beaten_by: Number of the trial that is no slower and surely closer to the reference.
        count: Pictures that were compared.
        of: Pictures that a whole measurement compares.
    """

    beaten_by: int
    count: int
    of: int

    def __str__(self) -> str:
        if not self.count:
            return f"stopped before any image, the fit of trial {self.beaten_by} ends nearer to the reference in no more steps"
        return f"stopped after {self.count} of {self.of} pictures, trial {self.beaten_by} is no slower and surely closer"

    @classmethod
    def _more(cls, kept: Mapping[str, Any]) -> dict[str, Any]:
        return {name: kept[name] for name in ("beaten_by", "count", "of")}


def stopped_attributes(policy: Policy, by: int, summary: Result | None, of: int) -> dict[str, Any]:
    """Returns what an ended trial keeps of which not all was measured.

    Arguments:
        policy: Its policy.
        by: Number of the trial that beats it.
        summary: What was measured; None: nothing.
        of: Pictures that a whole measurement compares.
    """
    values = {"digest": policy.digest, "nfe": policy.nfe, "beaten_by": by, "count": 0, "of": of}
    if summary is None:
        return values
    figures = {name: figure.value for name, figure in summary.figures.items()}
    return values | {"count": summary.count, SO_FAR: {"latency_ms": summary.latency_ms.value, **figures}}


def stopped(trial: FrozenTrial) -> bool:
    """Whether a trial was stopped before all was measured; one that never started was not."""
    return trial.state == TrialState.PRUNED and FORESEEN not in trial.user_attrs


def infeasible(trial: FrozenTrial) -> bool:
    """Whether a trial has failed because its policy cannot be had, not because a run was broken off."""
    return trial.state == TrialState.FAIL and "reason" in trial.user_attrs


def failure_attributes(failure: Failure, digest: str, capture: Capture, nfe: int) -> dict[str, Any]:
    """Returns what a failed trial keeps."""
    return {
        "digest": digest,
        "capture": capture,
        "nfe": nfe,
        "reason": failure.reason,
        "failure": failure.message,
        "broken_off": False,
    }


def distinct(trials: Sequence[FrozenTrial]) -> list[FrozenTrial]:
    """Returns finished trials without those whose policy an earlier one had; two workers may propose the same at once."""
    first: dict[tuple[str, Capture], FrozenTrial] = {}
    for trial in trials:
        first.setdefault(what(trial), trial)
    return list(first.values())


def what(trial: FrozenTrial) -> tuple[str, Capture]:
    """Returns what a finished trial has measured: the digest of its policy, and how the network was launched."""
    return trial.user_attrs["digest"], trial.user_attrs.get("capture", "eager")


def attributes(result: Result, digest: str, capture: Capture, reference_ms: float, batch: int) -> dict[str, Any]:
    """Returns what a trial keeps of its result: figures as [value, low, high].

    Arguments:
        result: The figures.
        digest: The policy's digest.
        capture: How the network was launched.
        reference_ms: Latency of the reference, in milliseconds.
        batch: Pictures per call.
    """
    time = result.latency_ms
    figures = {
        "latency_ms": time,
        "speedup": Interval(reference_ms / time.value, reference_ms / time.high, reference_ms / time.low),
        "images_per_s": images_per_s(time, batch),
        "cache_mib": mib(result.cache_bytes),
        **result.counts,
        **result.figures,
    }
    plain = {"digest": digest, "capture": capture, "nfe": result.nfe, "count": result.count, "cache_bytes": result.cache_bytes}
    plain |= {"speed-up": figures["speedup"].value, "LPIPS": figures["lpips"].value}  # the dashboard sorts numbers, not lists
    return {**plain, **{name: list(asdict(figure).values()) for name, figure in figures.items()}}
