"""What the sites of a run have kept, by site and pass; handed to the sites before a network call, taken back after it."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from frdiff_tune.errors import MismatchError
from frdiff_tune.policy import Policy
from frdiff_tune.runtime.families import CONTROLNET, GUIDANCE
from frdiff_tune.runtime.keeping import REUSE, STORE, SiteState, version
from frdiff_tune.runtime.tree import half_of, leaves, map_tensors, zip_tensors

if TYPE_CHECKING:
    from torch import Tensor


class Features:
    """The features of one run.

    Attributes:
        states: Site -> its state; those of all policies that were put on.
    """

    def __init__(self) -> None:
        self.states: dict[str, SiteState] = {}
        self._nodes: dict[tuple[str, str], tuple[Any, ...]] = {}
        self._sites: dict[str, list[tuple[str, str, SiteState]]] = {}
        self._history: dict[str, int] = {}

    def load(self, policy: Policy) -> None:
        """Switches to another policy; what was kept is dropped."""
        self.clear()
        self._sites.clear()
        for group, sites in policy.groups.items():
            self._history[group] = max((len(weights) for weights in policy.forecast.get(group, ())), default=1) or 1
            for site in sites:
                if site not in (GUIDANCE, CONTROLNET):
                    state = self.states.setdefault(site, SiteState())
                    self._sites.setdefault(site.partition(".")[0], []).append((group, site, state))

    def clear(self) -> None:
        """Drops everything; the sites are plain."""
        self._nodes.clear()
        for state in self.states.values():
            state.clear()

    def forget(self, key: str) -> None:
        """Drops what the sites kept in a pass; the ControlNet's stays."""
        for kept in [kept for kept in self._nodes if kept[1] == key and kept[0] != CONTROLNET]:
            del self._nodes[kept]

    def open(
        self, component: str, key: str, reuses: frozenset[str], weights: "Mapping[str, Tensor]", half: bool | None, copies: bool
    ) -> None:
        """Tells the sites of a denoiser what to do in the network call that follows.

        Arguments:
            component: The denoiser.
            key: The pass.
            reuses: Groups that give back; the others compute and keep.
            weights: Group -> weights of what it kept, newest first, with shape (nodes,); others give back the newest.
            half: Which half of the batch is computed, the first one or not; None: all of it.
            copies: Whether the call writes into what sites keep, so that they copy it.
        """
        for group, site, state in self._sites.get(component, ()):
            state.copies = copies
            nodes = self._nodes.get((site, key), ())
            if group in reuses:
                state.action, state.weights = REUSE, weights.get(group)
                nodes = nodes[: 1 if state.weights is None else state.weights.shape[0]]
                state.nodes = nodes if half is None else tuple(_cut(node, half) for node in nodes)
            else:
                state.action = STORE
                if half is None and nodes:  # freed before the new one is there, so that the peak does not hold both
                    self._nodes[site, key] = nodes[: self._history[group] - 1]
                del nodes

    def close(self, component: str, key: str, half: bool | None) -> set[str]:
        """Takes what the sites of a denoiser kept in a call; returns the groups that computed."""
        computed = set()
        for group, site, state in self._sites.get(component, ()):
            if state.action == STORE and state.fresh is not None:
                computed.add(group)
                _check_unwritten(site, state)
                before = self._nodes.get((site, key), ())
                node = state.fresh if half is None else _joined(before[0], state.fresh, half)
                self._nodes[site, key] = (node, *before[: self._history[group] - 1])
            state.clear()
        return computed

    def residuals(self, key: str) -> Any:  # noqa: ANN401
        """Returns what the ControlNet gave last in a pass, or None."""
        return next(iter(self._nodes.get((CONTROLNET, key), ())), None)

    def keep_residuals(self, key: str, residuals: Any) -> None:  # noqa: ANN401
        """Keeps what the ControlNet gave."""
        self._nodes[CONTROLNET, key] = (residuals,)

    def tensors(self) -> Iterator["Tensor"]:
        """Yields all that is kept."""
        yield from leaves(list(self._nodes.values()))


def _check_unwritten(site: str, state: SiteState) -> None:
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
