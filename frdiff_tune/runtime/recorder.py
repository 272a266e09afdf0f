"""The recorder: what sites would keep at every step of full runs, as sums of Gram matrices."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from frdiff_tune.policy import Policy
from frdiff_tune.runtime.bank import Bank
from frdiff_tune.runtime.features import Features, Opening, check_unwritten
from frdiff_tune.runtime.keeping import STORE, SiteState
from frdiff_tune.runtime.run import Run
from frdiff_tune.runtime.storage import AS_IT_IS
from frdiff_tune.runtime.tree import leaves

if TYPE_CHECKING:
    from torch import Tensor

    from frdiff_tune.runtime.bases.fitted import Gram

SCORE = "score"
"""Under this name stands the network's own output; no site is called so."""


class Recorder:
    """Adds up the Gram matrices of whole runs, site by site.

    Of what a site keeps, only some entries are taken: of as many equal stretches as ``entries`` allows one entry each, at
    random but the same at all steps. Inner products of n such entries have a relative standard error of about 1 / sqrt(n).
    During a run T * ``entries`` * 4 bytes per site and sample of the network's batch lie on the host; after it T * T * 8
    bytes per site.

    A run counts when it has walked all T steps; within it, what a site kept in a pass counts if the pass ran at every step
    in one shape. So a site of a denoiser that runs in a part of the steps only is not recorded.

    Arguments:
        sites: Names of sites.
        T: Steps of a run.
        entries: Entries that are taken at most, per sample of the network's batch.
        seed: Decides which.

    Attributes:
        states: Site -> what tells it to store.
        sums: Site, or ``"score"`` -> sum of Gram matrices over passes, pictures and runs, with shape (T, T).
    """

    def __init__(self, sites: Iterable[str], T: int, entries: int, seed: int) -> None:
        self.states = {site: SiteState(AS_IT_IS) for site in sites}
        self.sums: dict[str, Gram] = {}
        self._T, self._entries, self._seed = T, entries, seed
        self._tracks: dict[tuple[str, str], list[Tensor]] = {}
        self._chosen: dict[Any, list[Tensor]] = {}

    def open(self, call: Opening) -> None:
        """Tells the sites of a denoiser to store in the call that follows."""
        for _, state in self._of(call.component):
            state.action, state.copies = STORE, call.copies

    def close(self, call: Opening, samples: int) -> None:
        """Takes what the sites of a denoiser stored in a call of ``samples`` samples."""
        for site, state in self._of(call.component):
            if state.fresh is not None:
                check_unwritten(site, state)
                self.take(site, call.key, call.step.t, state.fresh, samples)
            state.clear()

    def take(self, name: str, key: str, t: int, node: Any, samples: int) -> None:  # noqa: ANN401
        """Takes entries of nested tensors that belong to a name and a pass at step ``t``."""
        track = self._tracks.setdefault((name, key), [])
        if len(track) == t:  # else a step was left out
            track.append(self._entries_of(node, samples * self._entries))

    def settle(self) -> None:
        """Ends a run: adds what is whole, drops the rest."""
        import torch

        tracks, self._tracks = self._tracks, {}
        for state in self.states.values():
            state.clear()
        for (name, _), track in tracks.items():
            if len(track) == self._T and len({part.shape for part in track}) == 1:
                rows = torch.stack(track).double()
                gram = (rows @ rows.T).numpy()
                self.sums[name] = self.sums.get(name, 0.0) + (gram + gram.T) / 2

    def _of(self, component: str) -> list[tuple[str, SiteState]]:
        return [(site, state) for site, state in self.states.items() if site.partition(".")[0] == component]

    def _entries_of(self, node: Any, count: int) -> "Tensor":  # noqa: ANN401
        """Returns at most ``count`` entries of nested tensors, in float32 on the host."""
        import torch

        parts = [leaf.detach().reshape(-1) for leaf in leaves(node)]
        sizes = tuple(len(part) for part in parts)
        if sum(sizes) > count:
            place = (sizes, count, parts[0].device)
            if place not in self._chosen:
                self._chosen[place] = [found.to(parts[0].device) for found in _places(sizes, count, self._seed)]
            parts = [part[found] for part, found in zip(parts, self._chosen[place], strict=True)]
        return torch.cat([part.float() for part in parts]).cpu()


class RecordingRun(Run):
    """A run in which the sites of a recorder store at every step.

    Arguments:
        policy: The full policy.
        recorder: What takes what they store, and the scores.
    """

    def __init__(self, policy: Policy, recorder: Recorder) -> None:
        self.recorder = recorder
        super().__init__(policy, Features(AS_IT_IS))

    def reset(self) -> None:
        """Ends any run; one that was whole is added to the recording."""
        super().reset()
        self.recorder.settle()

    def open_call(self, component: str, copies: bool, volatile: bool, device: Any, bank: Bank | None) -> Opening:  # noqa: ANN401
        """Tells the sites of a denoiser to store in the network call that follows."""
        call = super().open_call(component, copies, volatile, device, bank)
        self.recorder.open(call)
        return call

    def close_call(self, call: Opening) -> None:
        """Takes what the sites have stored."""
        super().close_call(call)
        self.recorder.close(call, self.batches[call.key])

    def push_score(self, score: "Tensor") -> None:
        """Takes the score of the present step and pass, with shape (batch, channels, ...)."""
        self.recorder.take(SCORE, self.key, self.step.t, score, score.shape[0])


def _places(sizes: Sequence[int], count: int, seed: int) -> "list[Tensor]":
    """Returns one place at random in each of ``count`` equal stretches of several tensors laid end to end, by tensor."""
    import torch

    draws = torch.rand(count, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    places = ((torch.arange(count, dtype=torch.float64) + draws) * (sum(sizes) / count)).long().clamp(max=sum(sizes) - 1)
    starts = [sum(sizes[:i]) for i in range(len(sizes))]
    return [places[(places >= start) & (places < start + size)] - start for start, size in zip(starts, sizes, strict=True)]
