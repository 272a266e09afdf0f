"""Recorded measurements in place of real ones: a function of the policy alone, in microseconds."""

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

import numpy as np

from frdiff_tune.measure import Case, Failure, Measurement
from frdiff_tune.measure.references import Watch, unwatched
from frdiff_tune.policy import Floor, Latency, Policy
from frdiff_tune.runtime import Capture, Recording
from frdiff_tune.search import SpaceFile, Study, load_study, search_cases

BLOCK = 2  # cases per block
COUNT = 4  # cases of a study


class Recorded:
    """Measures a policy by a formula: time by network calls, LPIPS by how much is jumped or reused, and where.

    Arguments:
        cases: The cases, in blocks of ``BLOCK``.
        before: Called with (policy, block) before a block is measured.
        size: Cases per block.
    """

    def __init__(
        self, cases: tuple[Case, ...], before: Callable[[Policy, int], None] = lambda policy, b: None, size: int = BLOCK
    ) -> None:
        self.cases, self.before, self.size = cases, before, size
        self.measured: list[tuple[str, int]] = []
        self.tried: list[str] = []
        self.fails: Callable[[Policy, int], Failure | None] = lambda policy, b: None
        self.closed = 0
        self.reference_floor: float | None = None
        self.floors: list[int] = []

    anchor_ms = 10.0
    reference_latency = Latency(median_ms=105.0, low_ms=104.0, high_ms=106.0, count=3, samples_ms=(104.0, 105.0, 106.0))

    def prepare(self, watch: Watch = unwatched) -> Iterator[tuple[int, int]]:
        yield 1, 1

    def floor(self, count: int) -> Generator[tuple[int, int], None, Floor | None]:
        self.floors.append(count)
        yield count, count
        mean = self.reference_floor
        return None if mean is None else floor_at(mean, count)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.closed += 1

    def __call__(self, policy: Policy, first: int = 0, capture: Capture = "eager") -> Iterator[Measurement | Failure]:
        self.tried.append(policy.digest)
        faster = 1.0 if capture == "eager" else 0.5
        for b in range(first, len(self.cases) // self.size):
            self.before(policy, b)
            if failure := self.fails(policy, b):
                yield failure
                return
            self.measured.append((policy.digest, b))
            block = self.cases[b * self.size : (b + 1) * self.size]
            yield Measurement(
                cases=tuple(case.digest for case in block),
                values={
                    "lpips": tuple(damage(policy) * (1 + 0.1 * i) for i in range(self.size)),
                    "psnr": tuple(60 - 1000 * damage(policy) * (1 + 0.1 * i) for i in range(self.size)),
                },
                latency_ms=(5 + 2.0 * policy.nfe * faster,),
                anchor_ms=(10.0,),
                loop_ms=(2.0 * policy.nfe,),
                cache_bytes=1000 * len(policy.masks),
                nfe=policy.nfe,
            )


def floor_at(mean: float, count: int = 16) -> Floor:
    """Returns a floor of that mean LPIPS."""
    ends = {"low": 0.8 * mean, "high": 1.2 * mean}
    return Floor(kind="discretisation", metric="lpips", unit="1", statistic="mean", value=mean, count=count, **ends)


def damage(policy: Policy) -> float:
    """Returns an LPIPS: early jumps cost most, reuse a little, fewer steps something, and every policy its own grain."""
    early = [2.0 if t < policy.T / 3 else 0.3 for t in range(policy.T)]
    jumped = sum(cost * (1 - lam) for cost, lam in zip(early, policy.mixing, strict=True)) / policy.T
    reused = sum(mask.count("0") for mask in policy.masks.values()) / policy.T
    grain = 1 + int(policy.digest[:4], 16) / 16**5
    return (0.03 * jumped + 0.002 * reused + 0.05 * max(0, 50 - policy.T) / 50) * grain


def study_at(folder: Path, name: str = "demo", **search: Any) -> Study:  # noqa: ANN401
    """Returns a shipped study with its database in ``folder`` and other keys of its [search]."""
    study = load_study(name)
    counts = {"search_count": COUNT, "held_out_count": COUNT}
    files = dict.fromkeys(("search", "held_out"), str(Path(__file__).parent / "classes.txt"))  # those of the tiny DiT
    storage = f"sqlite:///{folder}/study.db"
    file = study.file.model_copy(
        update={
            "search": study.file.search.model_copy(update={"storage": storage, "minutes": None, **search}),
            "cases": study.file.cases.model_copy(update={**counts, **(files if name == "demo-dit" else {})}),
            "measure": study.file.measure.model_copy(update={"latency_calls": 8}),
        }
    )
    return replace(study, file=file, space=small(study.space))


def small(space: SpaceFile) -> SpaceFile:
    """Returns a space with a quarter of the parameters, two solvers and no fit, so that a proposal takes milliseconds."""
    keyframes = space.keyframes.model_copy(update={"count": (4, 14)})
    steps = space.steps.model_copy(update={"scheduler": space.steps.scheduler[:2], "spacing": ("trailing",)})
    forecast = space.forecast.model_copy(update={"features": ("hold", "taylor-1"), "fit": (0.0, 0.0)})
    return space.model_copy(update={"keyframes": keyframes, "steps": steps, "forecast": forecast})


def made_up(groups: Mapping[str, Sequence[str]]) -> Recording:
    """Returns a recording of features that turn smoothly, of every site in its own way."""
    times = np.linspace(999.0, 0.0, 50)
    grams = {}
    for site in sorted({site for sites in groups.values() for site in sites}):
        rng = np.random.default_rng(len(site) + sum(map(ord, site)))
        waves = np.sin(times[:, None] * rng.uniform(0.001, 0.006, 99) + rng.uniform(0, 6, 99))
        gram = waves @ waves.T
        grams[site] = gram / gram.diagonal().mean()
    return Recording(tuple(times.tolist()), grams)


def recorded(study: Study, pipe: Any, before: Callable[[Policy, int], None] = lambda policy, b: None) -> Recorded:  # noqa: ANN401
    """Returns recorded measurements on the study's own cases."""
    return Recorded(search_cases(study, pipe), before)
