"""CUDA graphs: a network call per distinct row of the masks is recorded once and replayed without launching its kernels.

A row is met for the first time in the first picture: the call runs as ever, and is recorded thereafter. Inputs, features and
weights lie in static memory: a replay copies its inputs there, and its graph moves features from slot to slot itself.
"""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from frdiff_tune.errors import MismatchError
from frdiff_tune.runtime.bank import Bank
from frdiff_tune.runtime.features import WRITTEN, Features, Opening
from frdiff_tune.runtime.keeping import STORE, SiteState
from frdiff_tune.runtime.tree import leaves, map_tensors

if TYPE_CHECKING:
    from torch import Tensor, nn

MOST_BANKS = 4
"""Forms of a pass's call, as batch and resolution, whose graphs are kept."""
Recorder = Callable[[Callable[[], Any]], tuple[Callable[[], None], Any]]
"""work -> (what does it again on the same memory, what it returned)."""


@dataclass(slots=True)
class Graph:
    """A recorded call.

    Arguments:
        replay: Does it again.
        inputs: Its tensors, in the order of the call's.
        output: What the network returns.
        weights: The sites that forecast -> their weights, with shape (nodes,).
        stored: The sites that store.
    """

    replay: Callable[[], None]
    inputs: "list[Tensor]"
    output: Any
    weights: "list[tuple[SiteState, Tensor]]"
    stored: list[SiteState]

    def __call__(self, given: Any) -> Any:  # noqa: ANN401
        """Returns what the network returns for nested arguments; the sites have stored."""
        for target, value in zip(self.inputs, leaves(given), strict=True):
            target.copy_(value, non_blocking=True)
        for state, weights in self.weights:
            weights.copy_(state.weights)  # type: ignore[arg-type]
        self.replay()
        for state in self.stored:
            state.fresh = WRITTEN
        return map_tensors(lambda tensor: tensor.clone(), self.output)


class CudaRecorder:
    """Records kernels of the present device; all graphs share one pool of memory."""

    def __init__(self) -> None:
        import torch

        self._pool = torch.cuda.graph_pool_handle()

    def __call__(self, work: Callable[[], Any]) -> tuple[Callable[[], None], Any]:
        """Returns what replays ``work``, which is not run now, and what it returns."""
        import torch

        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, pool=self._pool, capture_error_mode="thread_local"):
            result = work()
        return graph.replay, result


class Graphs:
    """The graphs of one network.

    Arguments:
        network: The network.
        record: What records.
    """

    def __init__(self, network: "nn.Module", record: Recorder) -> None:
        self._network, self._record = network, record
        self._banks: OrderedDict[Any, Bank] = OrderedDict()
        self._present: dict[str, Bank] = {}
        self._known: int | None = None

    def begin(self) -> None:
        """Forgets all graphs if the network is not as it was: a recording would not notice."""
        known = fingerprint(self._network)
        if known != self._known:
            self._banks.clear()
            self._present.clear()
            self._known = known

    def bank(self, key: str, args: tuple[Any, ...], kwargs: dict[str, Any], half: bool | None) -> Bank:
        """Returns the buffers of a pass; the call on half of its batch has those of the whole.

        Arguments:
            key: The pass.
            args: Arguments of the call.
            kwargs: Its named arguments.
            half: Which half of the batch is computed; None: all of it.
        """
        if half is not None:
            return self._present[key]
        form = (key, tuple((tuple(tensor.shape), tensor.dtype, tensor.device) for tensor in leaves((args, kwargs))))
        bank = self._present[key] = self._banks.setdefault(form, Bank())
        self._banks.move_to_end(form)
        if sum(known[0] == key for known in self._banks) > MOST_BANKS:
            del self._banks[next(known for known in self._banks if known[0] == key)]
        return bank

    def __call__(
        self, forward: Callable[..., Any], call: Opening, features: Features, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:  # noqa: ANN401
        """Returns what the network returns; the sites have stored.

        Raises:
            MismatchError: If the network, or a call with these arguments, cannot be recorded.
        """
        import torch

        assert call.bank is not None
        if torch.is_grad_enabled():
            raise MismatchError(
                "`capture` must be 'eager' where gradients are asked for: graphs have none. Call inside `torch.no_grad()`."
            )
        given = _on_device(args, kwargs, call.device)
        key = (features.row(call), call.half, form_of(given), torch.is_autocast_enabled(call.device.type))
        if key in call.bank.graphs:
            call.bank.graphs.move_to_end(key)
            return call.bank.graphs[key](given)
        output = forward(*given[0], **given[1])
        features.write(call)
        call.bank.keep(key, self._recorded(forward, call, features, given))
        return output

    def _recorded(self, forward: Callable[..., Any], call: Opening, features: Features, given: Any) -> Graph:  # noqa: ANN401
        """Records a call that has just run, so that everything it needs is there."""
        states = features.states_of(call)
        stored = [state for state in states if state.action == STORE and state.fresh is WRITTEN]
        weights = [(state, state.weights.clone()) for state in states if state.weights is not None]
        inputs = map_tensors(lambda tensor: tensor.clone(), given)

        def work() -> Any:  # noqa: ANN401
            for state in stored:
                state.fresh = None
            for state, static in weights:
                state.weights = static
            output = forward(*inputs[0], **inputs[1])
            features.write(call)
            return output

        try:
            replay, output = self._record(work)
        except MismatchError:
            raise
        except Exception as error:
            raise MismatchError(
                f"`capture` must be 'eager' for this {type(self._network).__name__}, which a CUDA graph cannot record: "
                f"{str(error).splitlines()[0] if str(error) else type(error).__name__}. Something in it waits for the device, "
                f"or moves tensors to or from it."
            ) from error
        return Graph(replay, list(leaves(inputs)), output, weights, stored)


def _on_device(args: tuple[Any, ...], kwargs: dict[str, Any], device: Any) -> Any:  # noqa: ANN401
    """Returns a call's arguments with all tensors on a device, and a timestep that is a plain number as one."""
    import torch

    if isinstance(kwargs.get("timestep"), (int, float)):
        kwargs = {**kwargs, "timestep": torch.tensor(kwargs["timestep"], device=device)}
    if len(args) > 1 and isinstance(args[1], (int, float)):
        args = (args[0], torch.tensor(args[1], device=device), *args[2:])
    return map_tensors(lambda tensor: tensor.to(device, non_blocking=True), (args, kwargs))


def form_of(tree: Any) -> Any:  # noqa: ANN401
    """Returns what of nested arguments is recorded: shapes and dtypes of tensors, and the values of all else.

    Raises:
        MismatchError: If there is something whose value cannot be told from another.
    """
    import torch

    if isinstance(tree, torch.Tensor):
        return tuple(tree.shape), tree.dtype
    if isinstance(tree, dict):
        return tuple((name, form_of(part)) for name, part in tree.items())
    if isinstance(tree, (tuple, list)):
        return type(tree).__name__, tuple(form_of(part) for part in tree)
    if not isinstance(tree, Hashable):
        raise MismatchError(
            f"`capture` must be 'eager' where the network is called with a {type(tree).__name__}: a recorded call would not "
            f"notice another value. Give a tensor or a number instead."
        )
    return tree


def fingerprint(network: "nn.Module") -> int:
    """Returns a number that changes where a recording of a network would be stale.

    That is where weights moved, where a module, a hook, an attention processor or an adapter came or went, or where a plain
    attribute of a module, as an adapter's scale or a FreeU factor, has another value.
    """
    parts: list[Any] = [tensor.data_ptr() for tensor in (*network.parameters(), *network.buffers())]
    for module in network.modules():
        parts.append(id(module))
        for name, value in vars(module).items():
            if isinstance(value, (int, float, str)):
                parts.append(value)
            elif name in ("_forward_hooks", "_forward_pre_hooks"):
                parts.append(len(value))
            elif name == "processor" or (name == "forward" and not _is_ours(value)):
                parts.append(id(value))
            elif name in ("scaling", "_active_adapter", "merged_adapters"):
                parts.append(str(value))
    return hash(tuple(parts))


def _is_ours(forward: Any) -> bool:  # noqa: ANN401
    """Whether a forward is a site's or the score's patch: those follow a run's state, which rows tell apart."""
    return str(getattr(forward, "__module__", "")).startswith("frdiff_tune.")
