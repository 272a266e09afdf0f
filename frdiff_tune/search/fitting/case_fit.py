"""Fits on cases: the reference's states recorded once and kept on disk, and policies fitted to them."""

from collections.abc import Generator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from frdiff_tune.errors import SpaceError
from frdiff_tune.measure.bench import Bench
from frdiff_tune.measure.case import Case, blocks, call_arguments, cases_digest, digest_of
from frdiff_tune.measure.references import peek, setting_of, stored
from frdiff_tune.measure.trajectories import guidance_of
from frdiff_tune.measure.walk import Walk
from frdiff_tune.policy import Fit, Policy, SchedulerInfo
from frdiff_tune.runtime import describe_model
from frdiff_tune.runtime.schedulers import ReferenceWalk, TimeGrid, multistep_policy
from frdiff_tune.runtime.variable import Level
from frdiff_tune.search.fitting.fit import FitResult, drain, fit_steps, walk_steps
from frdiff_tune.search.fitting.lockstep import Call
from frdiff_tune.search.fitting.prefix_cache import PrefixCache
from frdiff_tune.search.fitting.reference_states import ENTRIES, ReferenceStates, StatesRecorder
from frdiff_tune.search.fitting.step_solver import MOST_MEMORY, FitOptions, StepWeights

SHELF = "states"
"""Part of the cache folder."""
QUICK_CASES = 16
"""Cases by which neighbouring schedules are told apart.

Of 14 grids, fitted on 48 cases, the one that 16 cases choose has a mean error on other cases which is 0.6 % (text model, ten
steps), 5.2 % (seven) and 0 % (class model, six) above the least; of 48 cases 0, 4.5 and 0 %
(``benchmarks/results/latent-errors-*.json``).
"""


class CaseFit:
    """Fits policies to the full runs of some cases.

    Arguments:
        bench: Holds the pipeline.
        cases: What to fit on; 48 do not overfit, 8 do.
        steps: The reference's ``num_inference_steps``.
        call: Arguments that are the same for all cases.
        folder: Where the reference's states are kept.
        batch: Cases per call, as many as the memory holds.
        options: How to fit.

    Raises:
        MismatchError: If the pipeline's scheduler is random or not linear, or the cases walk different times.
        MeasureError: If a state is not finite, or there are fewer cases than unknowns.
    """

    def __init__(
        self,
        bench: Bench,
        cases: Sequence[Case],
        *,
        steps: int,
        call: Mapping[str, Any],
        folder: str | Path,
        batch: int = 8,
        options: FitOptions | None = None,
    ) -> None:
        self.bench, self.call, self.steps = bench, dict(call), steps
        self.options = options or FitOptions()
        self._blocks = blocks(cases, batch)
        self.cases = tuple(case for block in self._blocks for case in block)
        self._folder = Path(folder)
        self._model = describe_model(bench.pipe)
        self._walk = Walk(bench.pipe, self.cases, self.call)
        self._fitted: dict[str, Policy] = {}
        self._caches: dict[tuple[int, FitOptions, Any], PrefixCache] = {}

    @cached_property
    def states(self) -> ReferenceStates:
        """The reference's states, recorded when they are first asked for."""
        return drain(self.record())

    @cached_property
    def _key(self) -> str:
        self.bench.use(None)
        setting = setting_of(self.bench.pipe, self.steps, self.call)
        return digest_of(["states", setting, [case.digest for case in self.cases], ENTRIES])

    def record(self) -> Generator[tuple[int, int], None, ReferenceStates]:
        """Yields how many cases are recorded and how many there are; returns their states, from the disk if they lie there."""
        about = {"model": type(self.bench.pipe).__name__, "steps": str(self.steps), "pictures": str(len(self.cases))}
        recorded = peek(self._folder, self._key, SHELF)
        if recorded is None:
            done = 0
            for number, call in enumerate(self.calls):
                if number not in self._recorder:
                    self.bench.use(None)
                    self._recorder.run(number, call)
                done += len(self._blocks[number])
                yield done, len(self.cases)
            recorded = _packed(self._recorder.states(range(len(self._blocks))))
        return _unpacked(stored(self._folder, self._key, lambda: recorded, SHELF, about))

    def watch(self, cases: Sequence[Case]) -> AbstractContextManager[None]:
        """Returns a context in which a whole run of the bare pipeline is recorded, if its cases are those of a call of ours.

        So whoever draws the reference's pictures spares ``record`` these runs.

        Arguments:
            cases: What is drawn.

        Raises:
            MismatchError: In the context, if the scheduler is random or not linear, or calls walk different times.
            MeasureError: In the context, if a state is not finite.
        """
        rows = [list(block) for block in self._blocks]
        if list(cases) not in rows or peek(self._folder, self._key, SHELF) is not None:
            return nullcontext()
        return self._recorder.watching(rows.index(list(cases)))

    @cached_property
    def _recorder(self) -> StatesRecorder:
        return StatesRecorder(self.bench.pipe, self.steps)

    @property
    def calls(self) -> list[Call]:
        """One call per block of cases."""
        return [partial(_call, block, self.call) for block in self._blocks]

    def policy(
        self,
        steps: Sequence[int],
        *,
        groups: Mapping[str, Sequence[str]] | None = None,
        masks: Mapping[str, str] | None = None,
        variable: str = "sample",
    ) -> Policy:
        """Returns the policy of some steps of the reference's walk with first-order weights, to be fitted.

        Arguments:
            steps: Indices into the walk, increasing from 0.
            groups: Group -> site names, of layers that are reused at some steps.
            masks: Group -> one digit per step, 1 = computes.
            variable: What predictions are read as: ``sample`` or ``epsilon``.
        """
        walk, leading = self.states.walk, 0
        if walk.begin:
            count = self._walk.steps(len(steps))
            leading = count - len(steps)
        return multistep_policy(self._model, walk, steps, groups=groups, masks=masks, variable=variable, leading=leading)

    def steps_of(self, policy: Policy, cases: int | None = None) -> Generator[StepWeights, None, FitResult]:
        """Yields the weights of each step as they are solved; returns the fitted policy without its record.

        Arguments:
            policy: From ``policy``.
            cases: How many of the cases, whole calls; None: all.
        """
        calls, states = self._first(cases)
        options = self.options_of(policy, self._count(cases))
        key = len(states), options, policy.sampling.scheduler.config.get("variable")
        cache = self._caches.setdefault(key, PrefixCache())
        return fit_steps(self.bench, policy, calls, states, options, cache)

    def options_of(self, policy: Policy, cases: int) -> FitOptions:
        """Returns how a policy is fitted: ``memory`` counts full steps, so reuse steps between them are weighed beside them.

        Six full steps and six between them without the deep half (embedded text model, latent error on 192 other cases) come to
        .089 with 3 predictions in memory, to .086 with 4 and to .081 with 6; without the six between to .099.

        Arguments:
            policy: From ``policy``.
            cases: Cases that it is fitted on; they stay more than the unknowns.
        """
        masks = "".join("1" if all(mask[t] == "1" for mask in policy.masks.values()) else "0" for t in range(policy.T))
        between = max(map(len, masks.split("1")))
        longer = min(self.options.memory * (between + 1), MOST_MEMORY, cases - 2)
        return replace(self.options, memory=max(longer, self.options.memory))

    def fit(self, policy: Policy, cases: int | None = None) -> FitResult:
        """Returns a policy with fitted weights, which states what it was fitted on."""
        result = drain(self.steps_of(policy, cases))
        return FitResult(self.recorded(result, cases), result.residuals, result.errors, result.network_calls)

    def fitted(self, policy: Policy) -> Policy:
        """Returns a policy with fitted weights, from the disk if it was fitted before: whoever asks gets the same tables.

        Arguments:
            policy: From ``policy``.
        """
        if policy.digest not in self._fitted:
            options = asdict(self.options_of(policy, len(self.cases)))
            key = digest_of(["fit", "geometric mean, shape", self._key, policy.digest, options])
            text = stored(self._folder, key, lambda: self.fit(policy).policy.model_dump_json(by_alias=True), "fits")
            self._fitted[policy.digest] = Policy.model_validate_json(text)
        return self._fitted[policy.digest]

    def quick_error(self, policy: Policy) -> float:
        """Returns the latent error of a policy fitted on the first 16 cases, from the disk if it is known.

        Arguments:
            policy: From ``policy``.

        Raises:
            MeasureError: If a state is not finite.
        """
        options = asdict(self.options_of(policy, self._count(QUICK_CASES)))
        key = digest_of(["quick error", QUICK_CASES, self._key, policy.digest, options])
        return float(stored(self._folder, key, lambda: drain(self.steps_of(policy, QUICK_CASES)).latent_error, "fits"))

    def error(self, policy: Policy, cases: int | None = None) -> FitResult:
        """Returns how near the reference a policy comes as it is."""
        calls, states = self._first(cases)
        return drain(walk_steps(self.bench, policy, calls, states))

    def recorded(self, result: FitResult, cases: int | None = None) -> Policy:
        """Returns the fitted policy with the record of its fit."""
        chosen = self.cases[: self._count(cases)]
        options = self.options_of(result.policy, len(chosen))
        fit = Fit(
            cases=cases_digest(chosen),
            count=len(chosen),
            seeds=tuple(case.seed for case in chosen),
            guidance_scale=guidance_of(self.bench.pipe, self.call),
            sample_shape=self.states.shape,
            num_inference_steps=self.steps,
            memory=options.memory,
            ridge=options.ridge,
            residuals=result.residuals,
            latent_error=result.latent_error,
        )
        return result.policy.replace(fit=fit)

    def _first(self, cases: int | None) -> tuple[list[Call], ReferenceStates]:
        """Returns the calls and states of the first cases."""
        count = self._count(cases)
        copies = len(self.states) // len(self.cases)
        rows: list[int] = []
        calls: list[Call] = []
        used = 0
        for block, call in zip(self._blocks, self.calls, strict=True):
            if used < count:
                rows += range(used * copies, (used + len(block)) * copies)
                calls.append(call)
                used += len(block)
        return calls, self.states if used == len(self.cases) else self.states.select(rows)

    def _count(self, cases: int | None) -> int:
        """Returns how many cases whole calls of the first ones have."""
        if cases is None:
            return len(self.cases)
        if cases < 1:
            raise SpaceError(f"`cases` must be at least 1 but got {cases}. Use 24 or more.")
        total = 0
        for block in self._blocks:
            total += len(block) if total < cases else 0
        return total


def _call(block: Sequence[Case], call: Mapping[str, Any], run: Any) -> Any:  # noqa: ANN401
    return run(**{**call, **call_arguments(block)})


def _packed(states: ReferenceStates) -> dict[str, Any]:
    """Returns recorded states as arrays and plain values, which a file of any version of ours can hold."""
    walk = states.walk
    grid = asdict(walk.grid)
    plain = {"begin": walk.begin, "length": walk.length, "num_inference_steps": walk.num_inference_steps, "mu": walk.mu}
    scheduler = walk.scheduler.model_dump(mode="json", by_alias=True)
    arrays = {"states": states.states, "entries": states.entries, "free": states.free, "shape": states.shape}
    return {**arrays, "walk": plain, "grid": grid, "scheduler": scheduler}


def _unpacked(packed: Mapping[str, Any]) -> ReferenceStates:
    grid = {
        **packed["grid"],
        "levels": tuple(Level(**at) for at in packed["grid"]["levels"]),
        "end": Level(**packed["grid"]["end"]),
    }
    walk = ReferenceWalk(grid=TimeGrid(**grid), scheduler=SchedulerInfo.model_validate(packed["scheduler"]), **packed["walk"])
    return ReferenceStates(walk, packed["states"], packed["entries"], tuple(packed["shape"]), packed["free"])
