"""The states that the reference passes through: what a fit aims at."""

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from frdiff_tune.errors import MeasureError, MismatchError
from frdiff_tune.measure.bench import Bench
from frdiff_tune.measure.picture import quiet
from frdiff_tune.runtime.patch import Patch
from frdiff_tune.runtime.schedulers import ReferenceWalk, read_grid
from frdiff_tune.runtime.solver import scheduler_info
from frdiff_tune.runtime.times import stretch
from frdiff_tune.search.fitting.lockstep import Call

if TYPE_CHECKING:
    from torch import Tensor

ENTRIES = 16384
"""Entries of a state that are kept: inner products of as many have a relative standard error of 0.8 %."""


REWRITTEN = 0.02
"""Relative change of an entry between two steps above which the pipeline has written over it; half precision changes 0.001."""


@dataclass(frozen=True, slots=True, eq=False)
class ReferenceStates:
    """Full runs of some cases.

    Arguments:
        walk: What the reference's scheduler walks.
        states: Entries of each state of the walk, the first one included, in float32; shape (T + 1, cases, entries).
        entries: Which entries of a flattened state they are, with shape (entries,).
        shape: A state's shape, without the cases.
        free: 1 where the scheduler decides an entry, 0 where the pipeline writes over it between steps, as outside of the mask
            of an inpainting; with shape (cases, entries). Entries that are written over are 0 in ``states`` and in ``take``.
    """

    walk: ReferenceWalk
    states: NDArray[np.float32]
    entries: NDArray[np.int64]
    shape: tuple[int, ...]
    free: NDArray[np.float32]

    def __len__(self) -> int:
        """Returns the number of cases; a pipeline that doubles its batch (DiT) has each twice."""
        return int(self.states.shape[1])

    def take(self, state: "Tensor") -> "Tensor":
        """Returns the entries of states, with shape (cases, entries), from (cases, ...)."""
        import torch

        entries, free = (torch.from_numpy(table).to(state.device) for table in (self.entries, self.free))
        return state.flatten(1).float()[:, entries] * free

    def select(self, cases: Sequence[int]) -> "ReferenceStates":
        """Returns the states of some cases, by index."""
        return replace(self, states=self.states[:, list(cases)], free=self.free[list(cases)])


def states_bytes(T: int, cases: int, size: int) -> int:
    """Returns the bytes that recorded states take.

    Arguments:
        T: Steps of the reference's walk.
        cases: Cases.
        size: Entries of a state.
    """
    return 4 * (T + 1) * cases * min(size, ENTRIES)


def record_states(
    bench: Bench,
    calls: Sequence[Call],
    num_inference_steps: int,
    seed: int = 0,
) -> Generator[int, None, ReferenceStates]:
    """Yields the number of cases after each recorded call; returns what was recorded.

    A call is broken off after its last step, so nothing is decoded; the pipeline is bare then and afterwards.

    Arguments:
        bench: Holds the pipeline.
        calls: At least one; all walk the same times.
        num_inference_steps: The reference's.
        seed: Decides which entries are kept.

    Raises:
        MismatchError: If the scheduler is random or not linear, a call adds noise (eta), or calls walk different times.
        MeasureError: If a state is not finite.
    """
    bench.use(None)
    recorder = StatesRecorder(bench.pipe, num_inference_steps, seed)
    for number, call in enumerate(calls):
        yield recorder.run(number, call)
    return recorder.states(range(len(calls)))


class _EndOfWalk(BaseException):
    """A call has taken its last step."""


class StatesRecorder:
    """Records the states that full runs of a pipeline pass through.

    Arguments:
        pipe: A diffusers pipeline without a policy.
        num_inference_steps: The reference's.
        seed: Decides which entries are kept.
    """

    def __init__(self, pipe: Any, num_inference_steps: int, seed: int = 0) -> None:  # noqa: ANN401
        self._pipe, self._steps, self._seed = pipe, num_inference_steps, seed
        self._scheduler = pipe.scheduler
        self._walk: ReferenceWalk | None = None
        self._entries: NDArray[np.int64] | None = None
        self._shape: tuple[int, ...] = ()
        self._parts: dict[int, tuple[NDArray[np.float32], NDArray[np.float32]]] = {}
        self._rows: list[NDArray[np.float32]] = []
        self._free: NDArray[np.float32] = np.ones((0, 0), np.float32)
        self._advanced: NDArray[np.float32] | None = None
        self._mu: float | None = None
        self._count, self._to_end = 0, False

    def __contains__(self, number: int) -> bool:
        """Whether the call of a number is recorded."""
        return number in self._parts

    def run(self, number: int, call: Call) -> int:
        """Runs a call without decoding it, records its states and returns the number of cases.

        Arguments:
            number: Where the call stands among all.
            call: The call.

        Raises:
            MismatchError: If the scheduler is random or not linear, a call adds noise (eta), or calls walk different times.
            MeasureError: If a state is not finite.
        """
        import torch

        try:
            with torch.no_grad(), quiet(self._pipe), self._watching(to_end=False):
                call(lambda *args, **kwargs: self._pipe(*args, **{**kwargs, "num_inference_steps": self._steps}))
        except _EndOfWalk:
            pass
        finally:
            if hasattr(self._pipe, "maybe_free_model_hooks"):
                self._pipe.maybe_free_model_hooks()
        self._collect(number)
        return len(self._parts[number][1])

    @contextmanager
    def watching(self, number: int) -> Iterator[None]:
        """Records the states of a whole run of the pipeline in the context, of the call with a number; raises as ``run``."""
        with self._watching(to_end=True):
            yield
        self._collect(number)

    def states(self, numbers: Iterable[int]) -> ReferenceStates:
        """Returns the recorded states of calls in the order of their numbers, at least one."""
        assert self._walk is not None and self._entries is not None, "no call was recorded"
        parts = [self._parts[number] for number in numbers]
        states, free = np.concatenate([rows for rows, _ in parts], axis=1), np.concatenate([own for _, own in parts])
        return ReferenceStates(self._walk, states, self._entries, self._shape, free)

    @contextmanager
    def _watching(self, to_end: bool) -> Iterator[None]:
        self._rows, self._count, self._advanced, self._to_end = [], 0, None, to_end
        patches = [
            Patch(self._scheduler, "set_timesteps", self._noting),
            Patch(self._scheduler, "step", self._taking),
        ]
        try:
            yield
        finally:
            for patch in reversed(patches):
                patch.remove()

    def _collect(self, number: int) -> None:
        """Keeps the states of the run that was watched.

        Raises:
            MeasureError: If the run ended early, or a state is not finite.
        """
        if self._walk is None or len(self._rows) != self._walk.T + 1:
            raise MeasureError(
                "`calls` must walk the reference's scheduler to its end but one did not. Call without a callback."
            )
        rows = np.stack(self._rows)
        if not np.isfinite(rows).all():
            case = int(np.argmax(~np.isfinite(rows).all(axis=(0, 2))))
            raise MeasureError(
                f"`cases` must have finite states but case {case} of call {number} has NaN or infinity in the reference. "
                f"Run the model in a wider dtype, or drop the case."
            )
        self._parts[number] = rows * self._free, self._free

    def _noting(self, set_timesteps: Callable[..., Any]) -> Callable[..., Any]:
        import functools

        @functools.wraps(set_timesteps)
        def noted(*args: Any, **kwargs: Any) -> None:  # noqa: ANN401
            self._mu = kwargs.get("mu")
            set_timesteps(*args, **kwargs)

        return noted

    def _taking(self, step: Callable[..., Any]) -> Callable[..., Any]:
        import functools
        import inspect

        signature = inspect.signature(step)

        @functools.wraps(step)
        def taken(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
            bound = signature.bind(*args, **kwargs).arguments
            if bound.get("eta"):
                raise MismatchError(
                    f"`eta` must be 0 where weights are fitted but got {bound['eta']}: noise is no state to aim at."
                )
            if self._count == 0:
                self._begin(bound["timestep"], bound["sample"])
            walk = self._walk
            assert walk is not None
            entering = self._entries_of(bound["sample"])
            self._compare(entering)
            if walk.begin + self._count in walk.indices:
                self._rows.append(entering)
            result = step(*args, **kwargs)
            self._advanced = self._entries_of(result[0] if isinstance(result, tuple) else result.prev_sample)
            self._count += 1
            if self._count == walk.length:
                self._rows.append(self._advanced)
                if not self._to_end:
                    raise _EndOfWalk
            return result

        return taken

    def _begin(self, timestep: Any, sample: "Tensor") -> None:  # noqa: ANN401
        """Reads the walk of a call at its first step."""
        begin, length = stretch(self._scheduler, timestep, getattr(self._pipe, "_num_timesteps", None))
        if self._walk is None:
            grid = read_grid(_unpatched(self._scheduler))
            self._walk = ReferenceWalk(grid, begin, length, self._steps, scheduler_info(self._scheduler), self._mu)
            self._shape = tuple(sample.shape[1:])
            size = int(np.prod(self._shape))
            order = np.random.default_rng(self._seed).permutation(size)[:ENTRIES]
            self._entries = np.sort(order).astype(np.int64)
        times = tuple(self._scheduler.timesteps.tolist())
        if times != self._walk.grid.timesteps or (begin, length) != (self._walk.begin, self._walk.length):
            raise MismatchError(
                f"`cases` must all walk the same times but one walks {length} from {times[begin]:.6g} and another "
                f"{self._walk.length} from {self._walk.grid.timesteps[self._walk.begin]:.6g}. Fit them apart."
            )
        if tuple(sample.shape[1:]) != self._shape:
            raise MismatchError(
                f"`cases` must all have states of one shape but got {tuple(sample.shape[1:])} and {self._shape}. Fit one size."
            )

    def _entries_of(self, state: "Tensor") -> NDArray[np.float32]:
        flat: NDArray[np.float32] = state.detach().flatten(1).float().cpu().numpy()
        return np.ascontiguousarray(flat[:, self._entries])

    def _compare(self, entering: NDArray[np.float32]) -> None:
        """Notes where a state that enters a step is not the one that the step before led to."""
        if self._advanced is None:
            self._free = np.ones_like(entering)
        else:
            size = np.abs(self._advanced).mean()
            self._free[np.abs(entering - self._advanced) > REWRITTEN * size] = 0.0


def _unpatched(scheduler: Any) -> Any:  # noqa: ANN401
    """Returns a copy of a scheduler without the methods that were put on the instance."""
    import copy

    own = {name: value for name, value in vars(scheduler).items() if name not in ("set_timesteps", "step")}
    clone = object.__new__(type(scheduler))
    vars(clone).update(copy.deepcopy(own) | {name: None for name in ("_begin_index", "_step_index") if name in own})
    return clone
