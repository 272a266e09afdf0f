"""Reuse: how a site keeps what it computed and gives it back, by kind.

The forwards that are put on modules here read nothing but a ``SiteState`` and constants: ``torch.compile`` traces through
them, and makes one graph for each distinct set of actions.
"""

import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from frdiff_tune.errors import MismatchError
from frdiff_tune.runtime.families import Site
from frdiff_tune.runtime.keeping import PLAIN, REUSE, SiteState, version
from frdiff_tune.runtime.patch import Patch

if TYPE_CHECKING:
    from torch import Tensor, nn

Forward = Callable[..., Any]
Streams = dict[str, Any]
"""Name of an argument -> its tensor, in the order of the module's results."""
Take = Callable[[Any, Streams], Any]
Give = Callable[[Any, Streams], Any]
REGISTERED_OTHERWISE = (
    "diffusers registers this block otherwise than it works. Use a policy whose groups leave whole blocks of this network out."
)
Make = Callable[[SiteState, Site, Any], Patch]


def patch_site(state: SiteState, site: Site, denoiser: "nn.Module") -> dict[str, Patch]:
    """Patches one site's modules so that they follow ``state``; returns the patches by path inside the denoiser.

    Arguments:
        state: What the site does and keeps.
        site: The site.
        denoiser: The network that holds it.

    Raises:
        AssertionError: For the guidance pair and the ControlNet, which are no modules of the denoiser.
    """
    path = site.name.partition(".")[2]
    make: dict[str, Make]
    match site.kind:
        case "convolution":
            make = {f"{path}.norm1": _idle, f"{path}.conv1": _whole}
        case "fused":
            block = path.rpartition(".")[0]
            make = {f"{block}.attn": _idle, f"{block}.proj_mlp": _idle, path: _whole}
        case "residual":
            make = {path: _residual}
        case "output":
            make = {path: _whole}
        case _:
            raise AssertionError(f"{site.kind} is no module")
    return {part: made(state, site, denoiser.get_submodule(part)) for part, made in make.items()}


def _residual(state: SiteState, site: Site, module: "nn.Module") -> Patch:
    """Patches a module of whose result the input is taken off."""
    return Patch(module, "forward", lambda forward: _site(state, site, forward, _take_residual, _give_residual))


def _whole(state: SiteState, site: Site, module: "nn.Module") -> Patch:
    """Patches a module whose result is kept as it is."""
    return Patch(module, "forward", lambda forward: _site(state, site, forward, _as_it_is, _as_it_is))


def _idle(state: SiteState, site: Site, module: "nn.Module") -> Patch:
    """Patches a module that feeds only the one whose result is kept, so that it need not run.

    On a reuse step it hands on tensors without data (device ``meta``), so that what lies between, as activation and
    resampling, costs no arithmetic while the block's own forward stays as it is. A compiler drops what nobody reads, so
    there it hands on its input.
    """

    def idle(forward: Forward) -> Forward:
        import torch

        def patched(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
            if state.action != REUSE:
                return forward(*args, **kwargs)
            named = [kwargs[name] for name in ("hidden_states", "encoder_hidden_states") if kwargs.get(name) is not None]
            given = list(args[:1] or named)
            if not torch.compiler.is_compiling():
                given = [tensor.to("meta") for tensor in given]
            return given[0] if len(given) == 1 else tuple(given)

        return patched

    return Patch(module, "forward", idle)


def _site(state: SiteState, site: Site, forward: Forward, take: Take, give: Give) -> Forward:
    """Returns a forward that computes, stores, or gives back.

    Arguments:
        state: What the site does and keeps.
        site: The site.
        forward: The module's own forward.
        take: (output, the inputs that it continues) -> what is stored.
        give: (what was stored, those inputs) -> output.
    """
    import torch

    names = list(inspect.signature(forward).parameters)
    streams = site.streams

    def patched(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        if state.action == PLAIN:
            return forward(*args, **kwargs)
        inputs = {name: _argument(name, names, args, kwargs) for name in streams}
        if state.action == REUSE:
            return give(state.given(), inputs)
        if state.fresh is not None:
            raise MismatchError(
                f"`{site.name}` must be called once per network call but was called again, as with chunked feed-forward. "
                f"Call `disable_forward_chunking()` on the network, or use a policy whose groups leave it out."
            )
        output = forward(*args, **kwargs)
        state.keep(take(output, inputs))
        if not torch.compiler.is_compiling():
            state.version = version(state.fresh)
        return output

    return patched


def _argument(name: str, names: list[str], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:  # noqa: ANN401
    """Returns an argument by name; the first one where the module calls it otherwise."""
    if name in kwargs:
        return kwargs[name]
    place = names.index(name) if name in names else 0
    return args[place] if place < len(args) else None


def _as_it_is(value: Any, inputs: Streams) -> Any:  # noqa: ANN401
    return value


def _take_residual(output: Any, inputs: Streams) -> Any:  # noqa: ANN401
    """Returns output minus input, of every stream where the module gives a tuple; a stream that ends there is None.

    Raises:
        MismatchError: If a result does not have its input's shape.
    """
    if hasattr(output, "shape"):
        return _minus(output, _picture(inputs))
    streams = [_picture(inputs)] if len(output) == 1 else list(inputs.values())
    if len(streams) != len(output):
        raise MismatchError(f"a block must return {len(streams)} results but gave {len(output)}. {REGISTERED_OTHERWISE}")
    return tuple(part if part is None else _minus(part, x) for part, x in zip(output, streams, strict=True))


def _minus(output: "Tensor", x: "Tensor") -> "Tensor":
    if output.shape != x.shape:
        raise MismatchError(
            f"a block's result must have its input's shape, but {tuple(x.shape)} became {tuple(output.shape)}. "
            f"{REGISTERED_OTHERWISE}"
        )
    return output - x


def _give_residual(stored: Any, inputs: Streams) -> Any:  # noqa: ANN401
    """Returns input plus what was stored, in the form in which the module gave it."""
    if hasattr(stored, "shape"):
        return _picture(inputs) + stored
    streams = [_picture(inputs)] if len(stored) == 1 else inputs.values()
    return tuple(part if part is None else x + part for part, x in zip(stored, streams, strict=True))


def _picture(inputs: Streams) -> "Tensor":
    """Returns the stream of a module that gives only one, as blocks do that were handed text and picture in one."""
    found: Tensor = inputs.get("hidden_states", next(iter(inputs.values())))
    return found
