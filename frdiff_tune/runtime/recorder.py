"""The recorder: what sites would keep at every step of full runs, as sums of Gram matrices."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from frdiff_tune.policy import Policy
from frdiff_tune.runtime.bank import Bank
from frdiff_tune.runtime.families import GUIDANCE
from frdiff_tune.runtime.features import Features, Opening, check_unwritten
from frdiff_tune.runtime.guidance import conditional_of
from frdiff_tune.runtime.keeping import STORE, SiteState
from frdiff_tune.runtime.run import Run
from frdiff_tune.runtime.storage import AS_IT_IS
from frdiff_tune.runtime.tree import leaves

if TYPE_CHECKING:
    from torch import Tensor

    from frdiff_tune.runtime.bases.fitted import Gram

SCORE = "score"
"""Under this name stands the network's own output; no site is called so."""


class Taken(NamedTuple):
    """Some entries of what a site keeps at one step.

    Attributes:
        values: The entries, in float32, with shape (taken,).
        entries: How many there are in all.
        size: Bytes of them all.
    """

    values: "Tensor"
    entries: int
    size: int


class SampledState(SiteState):
    """A site that takes some entries of its result and lets the rest go before the next module runs.

    Arguments:
        recorder: Decides which entries.

    Attributes:
        samples: Samples of the network's batch in the present call.
    """

    def __init__(self, recorder: "Recorder") -> None:
        super().__init__(AS_IT_IS)
        self._recorder = recorder
        self.samples = 0

    def keep(self, taken: Any) -> None:  # noqa: ANN401
        """Takes entries of what the site has computed; compiled code hands all of it on instead."""
        import torch

        super().keep(taken if torch.compiler.is_compiling() else self._recorder.entries_of(taken, self.samples))


class Recorder:
    """Adds up the Gram matrices of whole runs, site by site.

    Of what a site keeps, only some entries are taken: of as many equal stretches as ``entries`` allows one entry each, at
    random but the same at all steps. Inner products of n such entries have a relative standard error of about 1 / sqrt(n).
    What a module gave is let go as soon as its entries are taken. So during a run T * ``entries`` * 4 bytes per site, pass and
    sample of the network's batch lie on the host; after it T * T * 8 bytes per site. ``measure.similarity`` states the peak.

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
        sizes: (site or ``"score"``, pass) -> entries in all, entries taken, bytes of all at one step.
    """

    def __init__(self, sites: Iterable[str], T: int, entries: int, seed: int) -> None:
        self.states = {site: SampledState(self) for site in sites}
        self.sums: dict[str, Gram] = {}
        self.sizes: dict[tuple[str, str], tuple[int, int, int]] = {}
        self._T, self._entries, self._seed = T, entries, seed
        self._tracks: dict[tuple[str, str], list[Tensor]] = {}
        self._chosen: dict[Any, list[Tensor]] = {}

    def open(self, call: Opening, samples: int) -> None:
        """Tells the sites of a denoiser to store in the call of ``samples`` samples that follows."""
        for _, state in self._of(call.component):
            state.action, state.copies, state.samples = STORE, call.copies, samples

    def close(self, call: Opening) -> None:
        """Takes what the sites of a denoiser stored in a call."""
        for site, state in self._of(call.component):
            if state.fresh is not None:
                check_unwritten(site, state)
                self.take(site, call.key, call.step.t, state.fresh, state.samples)
            state.clear()

    def take(self, name: str, key: str, t: int, node: Any, samples: int) -> None:  # noqa: ANN401
        """Takes entries of nested tensors that belong to a name and a pass at step ``t``."""
        track = self._tracks.setdefault((name, key), [])
        if len(track) == t:  # else a step was left out
            taken = node if isinstance(node, Taken) else self.entries_of(node, samples)
            self.sizes[name, key] = taken.entries, len(taken.values), taken.size
            track.append(taken.values.cpu())

    def settle(self) -> None:
        """Ends a run: adds what is whole, drops the rest."""
        import torch

        tracks, self._tracks = self._tracks, {}
        for state in self.states.values():
            state.clear()
        for name, key in list(tracks):
            track = tracks.pop((name, key))
            if len(track) == self._T and len({part.shape for part in track}) == 1:
                rows = torch.stack(track).double()
                gram = (rows @ rows.T).numpy()
                self.sums[name] = self.sums.get(name, 0.0) + (gram + gram.T) / 2

    def _of(self, component: str) -> list[tuple[str, SampledState]]:
        return [(site, state) for site, state in self.states.items() if site.partition(".")[0] == component]

    def entries_of(self, node: Any, samples: int) -> Taken:  # noqa: ANN401
        """Returns some entries of nested tensors that belong to a call of ``samples`` samples."""
        import torch

        found, count = list(leaves(node)), samples * self._entries
        parts = [leaf.detach().reshape(-1) for leaf in found]
        sizes = tuple(len(part) for part in parts)
        if sum(sizes) > count:
            place = (sizes, count, parts[0].device)
            if place not in self._chosen:
                self._chosen[place] = [at.to(parts[0].device) for at in places(sizes, count, self._seed)]
            parts = [part[at] for part, at in zip(parts, self._chosen[place], strict=True)]
        return Taken(torch.cat([part.float() for part in parts]), sum(sizes), sum(leaf.nbytes for leaf in found))


class RecordingRun(Run):
    """A run in which the sites of a recorder store at every step.

    Arguments:
        policy: The full policy.
        recorder: What takes what they store, and the scores.
        pictures: Pictures of a call, if what the guidance pair would keep is taken too: the difference of its scores.
    """

    def __init__(self, policy: Policy, recorder: Recorder, pictures: int | None = None) -> None:
        self.recorder, self._pictures = recorder, pictures
        super().__init__(policy, Features(AS_IT_IS))

    def reset(self) -> None:
        """Ends any run; one that was whole is added to the recording."""
        super().reset()
        self.recorder.settle()

    def open_call(self, component: str, copies: bool, volatile: bool, device: Any, bank: Bank | None) -> Opening:  # noqa: ANN401
        """Tells the sites of a denoiser to store in the network call that follows."""
        call = super().open_call(component, copies, volatile, device, bank)
        self.recorder.open(call, self.batches[call.key])
        return call

    def close_call(self, call: Opening) -> None:
        """Takes what the sites have stored."""
        super().close_call(call)
        self.recorder.close(call)

    def push_score(self, score: "Tensor", x: "Tensor") -> None:
        """Takes the score of the present step and pass, with shape (batch, channels, ...)."""
        self.recorder.take(SCORE, self.key, self.step.t, score, score.shape[0])
        if self._pictures is not None:
            self._push_pair(score, self._pictures)

    def _push_pair(self, score: "Tensor", pictures: int) -> None:
        """Takes the difference of the halves of a batch, or of this pass and the conditional one before it."""
        t, key = self.step.t, self.key
        conditional = self.passes.get(conditional_of(key))
        self.passes[key] = score
        if conditional is not None and conditional.shape == score.shape:
            self.recorder.take(GUIDANCE, key, t, score - conditional, score.shape[0])
        elif score.shape[0] == 2 * pictures:
            first, second = score.chunk(2)
            self.recorder.take(GUIDANCE, key, t, first - second, first.shape[0])


def places(sizes: Sequence[int], count: int, seed: int) -> "list[Tensor]":
    """Returns one place at random in each of ``count`` equal stretches of several tensors laid end to end, by tensor.

    Arguments:
        sizes: Entries of each tensor.
        count: How many places, fewer than there are entries.
        seed: Decides which.
    """
    import torch

    draws = torch.rand(count, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    places = ((torch.arange(count, dtype=torch.float64) + draws) * (sum(sizes) / count)).long().clamp(max=sum(sizes) - 1)
    starts = [sum(sizes[:i]) for i in range(len(sizes))]
    return [places[(places >= start) & (places < start + size)] - start for start, size in zip(starts, sizes, strict=True)]
