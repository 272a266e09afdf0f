"""What the sites of a run have kept, by site and pass; handed to the sites before a network call, taken back after it."""

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from frdiff_tune.errors import MismatchError
from frdiff_tune.policy import Policy, StepPlan
from frdiff_tune.runtime.bank import Bank
from frdiff_tune.runtime.families import CONTROLNET, GUIDANCE
from frdiff_tune.runtime.keeping import REUSE, STORE, SiteState, version
from frdiff_tune.runtime.storage import Storage, unpacked
from frdiff_tune.runtime.tree import half_of, leaves, map_tensors, zip_tensors

if TYPE_CHECKING:
    from torch import Tensor

WRITTEN = object()
"""What a site kept after it was moved into a bank."""
Node = tuple[int, Any]
"""The step at which a site computed, and what it kept."""


@dataclass(frozen=True, slots=True)
class Opening:
    """A network call that is about to be made.

    Arguments:
        component: The denoiser.
        key: The pass.
        step: The plan of the present step.
        forced: Whether everything computes.
        half: Which half of the batch is computed, the first one or not; None: all of it.
        copies: Whether the call writes into what sites keep, so that they copy it.
        volatile: Whether a later call may overwrite what this one gives, as CUDA graphs of a compiler do.
        device: Where the call runs.
        bank: Where its sites keep what CUDA graphs read and write; None where they keep what the network gave.
    """

    component: str
    key: str
    step: StepPlan
    forced: bool
    half: bool | None
    copies: bool
    volatile: bool
    device: Any
    bank: Bank | None = None


class Features:
    """The features of one run.

    A group whose policy forecasts it keeps what its last computing steps gave, as many as its longest row of weights has:
    its memory is that of holding times the number of weights.

    Arguments:
        storage: How they are kept.

    Attributes:
        states: Site -> its state; those of all policies that were put on.
    """

    def __init__(self, storage: Storage) -> None:
        self.storage = storage
        self.states: dict[str, SiteState] = {}
        self._nodes: dict[tuple[str, str], tuple[Node, ...]] = {}
        self._sites: dict[str, list[tuple[str, str, SiteState]]] = {}
        self._history: dict[str, int] = {}
        self._computing: dict[str, list[int]] = {}
        self._rows: dict[tuple[str, int], tuple[float, ...]] = {}
        self._weights: dict[Any, dict[tuple[str, int], Tensor]] = {}

    def load(self, policy: Policy, plan: Sequence[StepPlan]) -> None:
        """Switches to another policy; what was kept is dropped."""
        self.clear()
        self._sites.clear()
        self._weights.clear()
        self._rows = {
            (group, step.t): step.forecasts.get(group, (1.0,)) for step in plan for group in step.reuses & set(policy.forecast)
        }
        for group, sites in policy.groups.items():
            self._history[group] = max((len(row) for (name, _), row in self._rows.items() if name == group), default=1)
            self._computing[group] = [step.t for step in plan if group in step.computes]
            for site in sites:
                if site not in (GUIDANCE, CONTROLNET):
                    state = self.states.setdefault(site, SiteState(self.storage))
                    self._sites.setdefault(site.partition(".")[0], []).append((group, site, state))

    def clear(self) -> None:
        """Drops everything; the sites are plain."""
        self._nodes.clear()
        for state in self.states.values():
            state.clear()

    def park(self) -> dict[tuple[str, str], tuple[Node, ...]]:
        """Hands over what a run has stored; nothing of it is left here."""
        nodes, self._nodes = self._nodes, {}
        return nodes

    def resume(self, nodes: dict[tuple[str, str], tuple[Node, ...]]) -> None:
        """Takes back what a run has stored."""
        self._nodes = nodes

    def forget(self, key: str) -> None:
        """Drops what the sites kept in a pass; the ControlNet's stays."""
        for kept in [kept for kept in self._nodes if kept[1] == key and kept[0] != CONTROLNET]:
            del self._nodes[kept]

    def open(self, call: Opening) -> bool:
        """Tells the sites of a denoiser what to do in the call that follows.

        Returns:
            Whether a group computes that the policy reuses, because what it would give back is not there.
        """
        short = False
        for group, site, state in self._sites.get(call.component, ()):
            state.copies = call.copies
            reuses = group in call.step.reuses and not call.forced
            given = self._given(group, (site, call.key), call) if reuses else ()
            if given:
                state.action, state.weights = REUSE, self._weights_on(call.device).get((group, call.step.t))
                state.nodes = given if call.half is None else tuple(_cut(node, call.half) for node in given)
            else:
                state.action, short = STORE, short or reuses
                self._make_room(group, (site, call.key), call.half)
        return short

    def _given(self, group: str, place: tuple[str, str], call: Opening) -> tuple[Any, ...]:
        """Returns the nodes that a group's weights at the present step are for, newest first; empty if they are not there.

        A group that is forecast always gets as many as its longest row has weights, the newest again where there are fewer,
        so that compiled code is the same at all its steps.
        """
        t = call.step.t
        count = len(self._rows.get((group, t), (1.0,)))
        nodes = self._nodes.get(place, ())[:count]
        wanted = [step for step in self._computing[group] if step < t][: -count - 1 : -1]
        if not nodes or (count > 1 and [step for step, _ in nodes] != wanted):
            return ()
        values = [value for _, value in nodes]
        if call.bank is not None:
            slots = call.bank.slots.get(place[0], [None])
            return tuple(slots[: self._history[group]]) if slots[0] is values[0] else ()
        return (*values, *[values[0]] * (self._history[group] - len(values)))

    def _make_room(self, group: str, place: tuple[str, str], half: bool | None) -> None:
        """Drops the oldest node before the new one is there, so that the peak does not hold both."""
        if half is None and place in self._nodes:
            self._nodes[place] = self._nodes[place][: self._history[group] - 1]

    def _weights_on(self, device: Any) -> "dict[tuple[str, int], Tensor]":  # noqa: ANN401
        """Returns all weights as tensors of a device, made once: nothing is copied to it step by step."""
        import torch

        if device not in self._weights:
            table = {place: [*row, *[0.0] * (self._history[place[0]] - len(row))] for place, row in self._rows.items()}
            self._weights[device] = {place: torch.tensor(row, dtype=torch.float32).to(device) for place, row in table.items()}
        return self._weights[device]

    def close(self, call: Opening) -> set[str]:
        """Takes what the sites of a denoiser kept in a call; returns the groups that computed."""
        computed = set()
        for group, site, state in self._sites.get(call.component, ()):
            if state.action == STORE and state.fresh is not None:
                computed.add(group)
                before, most = self._nodes.get((site, call.key), ()), self._history[group]
                times = [call.step.t, *(t for t, _ in before)]
                if call.bank is None:
                    nodes = [_taken(site, state, before, call), *(node for _, node in before)]
                else:
                    nodes = call.bank.slots[site]
                self._nodes[site, call.key] = tuple(zip(times, nodes, strict=False))[:most]
            state.clear()
        return computed

    def write(self, call: Opening) -> None:
        """Moves what the sites of a denoiser kept in a call into its bank; a CUDA graph records this with the call."""
        assert call.bank is not None
        for group, site, state in self._sites.get(call.component, ()):
            if state.action == STORE and state.fresh is not None:
                check_unwritten(site, state)
                call.bank.push(site, state.fresh, self._history[group], call.half)
                state.fresh = WRITTEN

    def row(self, call: Opening) -> Hashable:
        """Returns what the sites of a denoiser do in a call: calls of which it is the same are the same work."""
        states = ((site, state, self._history[group]) for group, site, state in self._sites.get(call.component, ()))
        return tuple((site, state.action, state.weights is None, state.copies, most) for site, state, most in states)

    def states_of(self, call: Opening) -> list[SiteState]:
        """Returns the sites of a denoiser."""
        return [state for _, _, state in self._sites.get(call.component, ())]

    def residuals(self, key: str) -> Any:  # noqa: ANN401
        """Returns what the ControlNet gave last in a pass, or None."""
        return next((unpacked(node) for _, node in self._nodes.get((CONTROLNET, key), ())), None)

    def keep_residuals(self, key: str, residuals: Any) -> None:  # noqa: ANN401
        """Keeps what the ControlNet gave."""
        self._nodes[CONTROLNET, key] = ((0, self.storage.pack(residuals)),)

    def tensors(self) -> Iterator["Tensor"]:
        """Yields all that is kept."""
        yield from leaves([node for nodes in self._nodes.values() for _, node in nodes])


def _taken(site: str, state: SiteState, before: tuple[Node, ...], call: Opening) -> Any:  # noqa: ANN401
    """Returns what a site kept in a call, as it stays."""
    check_unwritten(site, state)
    fresh, state.fresh = state.fresh, None
    fresh = map_tensors(lambda tensor: tensor.clone(), fresh) if call.volatile else fresh
    return fresh if call.half is None else _joined(before[0][1], fresh, call.half)


def check_unwritten(site: str, state: SiteState) -> None:
    """Checks that the network has not written into what a site kept.

    Raises:
        MismatchError: If it has.
    """
    if version(state.fresh) != state.version:
        raise MismatchError(
            f"`{site}` must keep what it returns, but the network has written into it since, as FreeU and T2I-Adapters do. "
            f"Switch that off, or use a policy whose groups leave {site!r} out."
        )


def _cut(node: Any, first: bool) -> Any:  # noqa: ANN401
    return map_tensors(lambda tensor: tensor[half_of(tensor.shape[0], first)], node)


def _joined(old: Any, new: Any, first: bool) -> Any:  # noqa: ANN401
    """Returns ``old`` with a half of its batch replaced; ``old`` itself may be in use and is not written to."""

    def join(whole: "Tensor", half: "Tensor") -> "Tensor":
        joined = whole.clone()
        joined[half_of(whole.shape[0], first)] = half
        return joined

    return zip_tensors(join, old, new)
