"""The same solvers on timesteps that somebody found: Align Your Steps, and sets by dynamic programming."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from benchmarks.methods._base import Keyframes, Method, Setting, key_of, tuning_cases
from benchmarks.methods.lockstep import Lockstep
from benchmarks.methods.optimal_steps import optimal_sets
from frdiff_tune.measure import trajectory
from frdiff_tune.measure.references import stored
from frdiff_tune.policy import Policy
from frdiff_tune.runtime import full_policy, keyframe_policy, make_scheduler
from frdiff_tune.runtime.solver import timesteps_of
from frdiff_tune.search.dynamic import best_sets, segment_costs
from frdiff_tune.search.setting import FOLLOWED, cache_folder
from frdiff_tune.search.starting.timestep_lists import aligned_keyframes
from frdiff_tune.search.study import Study

MOST = 16
"""Network calls of the largest set."""
CASES = 16
"""Search cases whose full runs a set follows that is searched with the network."""
EARLY = (0.5, 1.0, 1.5)
"""How much errors of noisy steps count in recorded runs; see ``search.dynamic``."""
SHELF = "keyframes"


def listed(pipe: Any, steps: int, keyframes: Keyframes) -> Iterator[tuple[str, Policy]]:  # noqa: ANN401
    """Yields DDIM and DPM-Solver++ 2M on some timesteps of the reference's run.

    DDIM takes no list: it jumps, which is the same. Of the other solvers that are compared Euler takes one, and is DDIM up to
    rounding; UniPC and DEIS take none.

    Arguments:
        pipe: The pipeline.
        steps: The reference's step count.
        keyframes: The timesteps' places in its run.
    """
    yield "DDIM", keyframe_policy(pipe, steps, keyframes, 0.0, variable="epsilon")
    times = timesteps_of(pipe.scheduler, steps)
    solver = make_scheduler(pipe, "DPMSolverMultistepScheduler")
    policy = full_policy(pipe, len(keyframes), scheduler=solver)
    own = tuple(times[k] for k in keyframes)
    yield "DPM-Solver++ 2M", policy.replace(sampling=policy.sampling.model_copy(update={"timesteps": own}))


@dataclass(frozen=True)
class AlignYourSteps(Method):
    """The list of Stable Diffusion by noise level, interpolated in its logarithm.

    The run must begin where the reference's does. That is a call more before the list's first level, or one in its place;
    which, and which solver, is chosen.

    References:
        | Align Your Steps: Optimizing Sampling Schedules in Diffusion Models (Sabour et al., 2024)
        | https://arxiv.org/abs/2404.14507
    """

    def policies(self, pipe: Any, study: Study, calls: int) -> Iterator[tuple[str, Setting]]:  # noqa: ANN401
        """Yields every solver on both sets; none for models of flow matching."""
        steps = study.file.call.num_inference_steps
        for place, keyframes in aligned_sets(pipe, steps, calls).items():
            for solver, policy in listed(pipe, steps, keyframes):
                yield f"{solver}, start {place}", policy


def aligned_sets(pipe: Any, steps: int, calls: int) -> dict[str, Keyframes]:  # noqa: ANN401
    """Returns the sets of so many keyframes that follow the list, by where the start stands.

    Arguments:
        pipe: The pipeline.
        steps: The reference's step count.
        calls: Keyframes.
    """
    T, found = len(timesteps_of(pipe.scheduler, steps)), dict[str, Keyframes]()
    for size in range(calls - 1, calls + 3):  # two levels may be nearest to one step
        keyframes = aligned_keyframes(pipe, steps, T, size)
        if keyframes is None:
            return {}
        if len(keyframes) == calls:
            found.setdefault("before the list", keyframes)
        if len(keyframes) == calls + 1:
            found.setdefault("in place of its first", (0, *keyframes[2:]))
    return found


@dataclass(frozen=True)
class OptimalSteps(Method):
    """Sets by dynamic programming in full runs of search cases; which set and which solver is chosen.

    One set per size follows what the network answers on the jumps' own states, as the paper does; the others are read off
    recorded runs, as if the network did not react, with early errors counting more or less.

    References:
        | Optimal Stepsize for Diffusion Sampling (Pei et al., 2025), https://arxiv.org/abs/2503.21774
    """

    def policies(self, pipe: Any, study: Study, calls: int) -> Iterator[tuple[str, Setting]]:  # noqa: ANN401
        """Yields every solver on every set that differs."""
        steps, known = study.file.call.num_inference_steps, set[Keyframes]()
        sets = {"as in the paper": walked_sets(study, pipe)[calls]}
        sets |= {f"recorded, early {early}": each[calls] for early, each in recorded_sets(study, pipe).items()}
        for name, keyframes in sets.items():
            if keyframes not in known:
                known.add(keyframes)
                for solver, policy in listed(pipe, steps, keyframes):
                    yield f"{solver}, {name}", policy


def walked_sets(study: Study, pipe: Any) -> dict[int, Keyframes]:  # noqa: ANN401
    """Returns the sets of every size that the network's answers give; they are searched once and kept."""
    cases = tuning_cases(study, pipe)[:CASES]
    call = study.file.call

    def search() -> dict[int, Keyframes]:
        return optimal_sets(Lockstep(pipe, cases, call.arguments, call.num_inference_steps), MOST)

    return stored(cache_folder(), key_of(study, pipe, cases, sets="optimal steps", most=MOST), search, SHELF)


def recorded_sets(study: Study, pipe: Any) -> dict[float, dict[int, Keyframes]]:  # noqa: ANN401
    """Returns the sets of every size that recorded runs give, by how much early errors count."""
    call = study.file.call
    cases = tuning_cases(study, pipe)[:FOLLOWED]
    seen = trajectory(pipe, cases, steps=call.num_inference_steps, call=call.arguments, folder=cache_folder())
    return {early: best_sets(segment_costs(seen, "epsilon", early), MOST) for early in EARLY}
