"""Recordings: how alike the features of full runs are from step to step, which forecasts are fitted to."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from frdiff_tune.errors import MismatchError
from frdiff_tune.runtime.applied import Applied
from frdiff_tune.runtime.builders import full_policy
from frdiff_tune.runtime.families import CONTROLNET, GUIDANCE
from frdiff_tune.runtime.holder import own_scheduler
from frdiff_tune.runtime.recorder import Recorder, RecordingRun
from frdiff_tune.runtime.reuse import patch_site
from frdiff_tune.runtime.site import discover_sites, find_denoisers
from frdiff_tune.runtime.solver import timesteps_of

if TYPE_CHECKING:
    from frdiff_tune.runtime.bases.fitted import Gram
    from frdiff_tune.runtime.patch import Patch

ENTRIES = 4096
"""Entries that are taken of what a site keeps, per picture and half of its guidance pair."""


@dataclass(frozen=True, slots=True, eq=False)
class Recording:
    """Gram matrices of full runs.

    grams[site][s, t] = E <f[s], f[t]>, divided by the mean of its diagonal

    with f[t] what the site would keep at step t, and E over passes, pictures and runs.

    Arguments:
        times: The scheduler's timesteps that were walked, length T.
        grams: Site, or ``"score"`` for the network's own output -> its Gram matrix, with shape (T, T).
    """

    times: tuple[float, ...]
    grams: "Mapping[str, Gram]"

    def gram(self, sites: Sequence[str], times: Sequence[float] | None = None) -> "Gram | None":
        """Returns the Gram matrix of a group: the mean over its sites, of which none dominates.

        For another walk it is read between the recorded steps by their timesteps, as that of features which change linearly
        there; beyond the first and the last recorded step they stay. The recorded runs say nothing of how another solver
        or step count changes a sample, so that is an approximation: good as far as features follow the noise level.

        Arguments:
            sites: The group's sites; those that were not recorded are left out.
            times: Timesteps of the walk that it is for, length T'; None: those that were recorded.

        Returns:
            A matrix with shape (T', T'); None if none of the sites was recorded.
        """
        import numpy as np

        found = [self.grams[site] for site in sites if site in self.grams]
        if not found:
            return None
        mean: Gram = np.mean(found, axis=0)
        if times is None or tuple(times) == self.times:
            return mean
        between = weights_between(self.times, times)
        read: Gram = between @ mean @ between.T
        return read


@contextmanager
def record(
    pipe: Any,  # noqa: ANN401
    steps: int,
    groups: Mapping[str, Sequence[str]],
    *,
    T: int | None = None,
    entries: int = ENTRIES,
    seed: int = 0,
    pictures: int | None = None,
) -> "Iterator[Records]":
    """Records what sites would keep at every step, during all whole runs of a pipeline that has no policy on.

    The runs give bit for bit what they give without it; afterwards, also after an error, the pipeline is as it was.

        with record(pipe, 50, policy.groups) as records:
            pipe("a fox", num_inference_steps=50)
        recording = records.recording

    Arguments:
        pipe: A diffusers pipeline.
        steps: ``num_inference_steps`` of the calls.
        groups: Group -> site names, as of a policy. Guidance and ControlNet are always held, so they are not recorded.
        T: Steps that a call walks, where it is fewer than the scheduler's timesteps; None: all.
        entries: Entries that are taken of what a site keeps, per sample of the network's batch.
        seed: Decides which entries.
        pictures: Pictures of a call, if what the guidance pair would keep is to be recorded too, as ``"guidance"``.

    Raises:
        MismatchError: If a site is unknown, a policy is on already, or a call is for another step count.
    """
    known = {site.name: site for site in discover_sites(pipe)}
    names = [name for sites in groups.values() for name in sites if name not in (GUIDANCE, CONTROLNET)]
    for name in names:
        if name not in known:
            raise MismatchError(f"`groups` must name sites of the model but got {name!r}. `discover_sites(pipe)` lists them.")
    policy = full_policy(pipe, steps, T=T)
    times = timesteps_of(own_scheduler(pipe), steps)
    recorder = Recorder(dict.fromkeys(names), policy.T, entries, seed)
    modules = {denoiser.component: denoiser.module for denoiser in find_denoisers(pipe)}
    patches: list[Patch] = []
    with Applied(pipe, policy, run=RecordingRun(policy, recorder, pictures)):
        try:
            for name, state in recorder.states.items():
                patches += patch_site(state, known[name], modules[name.partition(".")[0]]).values()
            yield Records(tuple(times[len(times) - policy.T :]), recorder)
        finally:
            for patch in reversed(patches):
                patch.remove()


@dataclass(frozen=True, slots=True)
class Records:
    """What is being recorded.

    Arguments:
        times: The scheduler's timesteps of a run, length T.
        recorder: Where it adds up.
    """

    times: tuple[float, ...]
    recorder: Recorder

    @property
    def recording(self) -> Recording:
        """What was recorded so far; a site that kept nothing but zeros is left out.

        Raises:
            MismatchError: If no run was whole.
        """
        check_whole(bool(self.recorder.sums), "recording", len(self.times), "record")
        T = len(self.times)
        sums = {name: total for name, total in self.recorder.sums.items() if total.trace() > 0}
        return Recording(self.times, {name: total * (T / total.trace()) for name, total in sums.items()})


def check_whole(any_whole: bool, what: str, T: int, how: str) -> None:
    """Checks that a run was recorded to its end.

    Arguments:
        any_whole: Whether one was.
        what: What the runs are for, as ``recording``.
        T: Steps of a run.
        how: The function that records.

    Raises:
        MismatchError: If none was.
    """
    if not any_whole:
        raise MismatchError(
            f"`{what}` must hold a run of {T} steps but holds none. Call the pipeline within `with {how}(...)`, to its end."
        )


def weights_between(known: Sequence[float], wanted: Sequence[float]) -> "Gram":
    """Returns how recorded steps are weighed at other times, with shape (wanted, known); each row sums to 1.

    Arguments:
        known: The timesteps that were recorded.
        wanted: Those of another walk.
    """
    import numpy as np

    times, first = np.unique(known, return_index=True)  # solvers with two calls per step repeat times
    weights = np.zeros((len(wanted), len(known)))
    for place, one in zip(first, np.eye(len(times)), strict=True):
        weights[:, place] = np.interp(wanted, times, one)
    return weights
