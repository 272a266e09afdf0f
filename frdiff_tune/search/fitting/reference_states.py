"""The states that the reference passes through: what a fit aims at."""

from collections.abc import Callable, Generator, Sequence
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
    recorder = _Recorder(bench.pipe.scheduler, bench.pipe, num_inference_steps, seed)
    tables, masks = [], []
    for call in calls:
        recorder.draw(call)
        tables.append(np.stack(recorder.rows))
        if recorder.walk is None or len(recorder.rows) != recorder.walk.T + 1:
            raise MeasureError(
                "`calls` must walk the reference's scheduler to its end but one did not. Call without a callback."
            )
        if not np.isfinite(tables[-1]).all():
            case = int(np.argmax(~np.isfinite(tables[-1]).all(axis=(0, 2))))
            raise MeasureError(
                f"`cases` must have finite states but case {case} of call {len(tables) - 1} has NaN or infinity in the "
                f"reference. Run the model in a wider dtype, or drop the case."
            )
        masks.append(recorder.free)
        tables[-1] *= masks[-1]
        yield tables[-1].shape[1]
    assert recorder.walk is not None and recorder.entries is not None, "no call was recorded"
    states, free = np.concatenate(tables, axis=1), np.concatenate(masks)
    return ReferenceStates(recorder.walk, states, recorder.entries, recorder.shape, free)


class _EndOfWalk(BaseException):
    """A call has taken its last step."""


class _Recorder:
    """Takes the states of one call after another."""

    def __init__(self, scheduler: Any, pipe: Any, num_inference_steps: int, seed: int) -> None:  # noqa: ANN401
        self._scheduler, self._pipe, self._steps, self._seed = scheduler, pipe, num_inference_steps, seed
        self.walk: ReferenceWalk | None = None
        self.entries: NDArray[np.int64] | None = None
        self.shape: tuple[int, ...] = ()
        self.rows: list[NDArray[np.float32]] = []
        self.free: NDArray[np.float32] = np.ones((0, 0), np.float32)
        self._advanced: NDArray[np.float32] | None = None
        self._mu: float | None = None
        self._count = 0

    def draw(self, call: Call) -> None:
        """Runs one call and takes its states."""
        import torch

        self.rows, self._count, self._advanced = [], 0, None
        patches = [
            Patch(self._scheduler, "set_timesteps", self._noting),
            Patch(self._scheduler, "step", self._taking),
        ]
        try:
            with torch.no_grad(), quiet(self._pipe):
                call(self._run)
        except _EndOfWalk:
            pass
        finally:
            for patch in reversed(patches):
                patch.remove()
            if hasattr(self._pipe, "maybe_free_model_hooks"):
                self._pipe.maybe_free_model_hooks()

    def _run(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        return self._pipe(*args, **{**kwargs, "num_inference_steps": self._steps})

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
            walk = self.walk
            assert walk is not None
            entering = self._entries_of(bound["sample"])
            self._compare(entering)
            if walk.begin + self._count in walk.indices:
                self.rows.append(entering)
            result = step(*args, **kwargs)
            self._advanced = self._entries_of(result[0] if isinstance(result, tuple) else result.prev_sample)
            self._count += 1
            if self._count == walk.length:
                self.rows.append(self._advanced)
                raise _EndOfWalk
            return result

        return taken

    def _begin(self, timestep: Any, sample: "Tensor") -> None:  # noqa: ANN401
        """Reads the walk of a call at its first step."""
        begin, length = stretch(self._scheduler, timestep, getattr(self._pipe, "_num_timesteps", None))
        if self.walk is None:
            grid = read_grid(_unpatched(self._scheduler))
            self.walk = ReferenceWalk(grid, begin, length, self._steps, scheduler_info(self._scheduler), self._mu)
            self.shape = tuple(sample.shape[1:])
            size = int(np.prod(self.shape))
            order = np.random.default_rng(self._seed).permutation(size)[:ENTRIES]
            self.entries = np.sort(order).astype(np.int64)
        times = tuple(self._scheduler.timesteps.tolist())
        if times != self.walk.grid.timesteps or (begin, length) != (self.walk.begin, self.walk.length):
            raise MismatchError(
                f"`cases` must all walk the same times but one walks {length} from {times[begin]:.6g} and another "
                f"{self.walk.length} from {self.walk.grid.timesteps[self.walk.begin]:.6g}. Fit them apart."
            )
        if tuple(sample.shape[1:]) != self.shape:
            raise MismatchError(
                f"`cases` must all have states of one shape but got {tuple(sample.shape[1:])} and {self.shape}. Fit one size."
            )

    def _entries_of(self, state: "Tensor") -> NDArray[np.float32]:
        flat: NDArray[np.float32] = state.detach().flatten(1).float().cpu().numpy()
        return np.ascontiguousarray(flat[:, self.entries])

    def _compare(self, entering: NDArray[np.float32]) -> None:
        """Notes where a state that enters a step is not the one that the step before led to."""
        if self._advanced is None:
            self.free = np.ones_like(entering)
        else:
            size = np.abs(self._advanced).mean()
            self.free[np.abs(entering - self._advanced) > REWRITTEN * size] = 0.0


def _unpatched(scheduler: Any) -> Any:  # noqa: ANN401
    """Returns a copy of a scheduler without the methods that were put on the instance."""
    import copy

    own = {name: value for name, value in vars(scheduler).items() if name not in ("set_timesteps", "step")}
    clone = object.__new__(type(scheduler))
    vars(clone).update(copy.deepcopy(own) | {name: None for name in ("_begin_index", "_step_index") if name in own})
    return clone
