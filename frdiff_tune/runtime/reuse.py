"""Reuse: how a site keeps what it computed and gives it back, by kind."""

import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from frdiff_tune.runtime.families import Site
from frdiff_tune.runtime.patch import Patch
from frdiff_tune.runtime.run import Action, Run, half_of, map_tensors

if TYPE_CHECKING:
    from torch import Tensor, nn

Forward = Callable[..., Any]
Streams = dict[str, Any]
"""Name of an argument -> its tensor, in the order of the module's results."""
Take = Callable[[Any, Streams], Any]
Give = Callable[[Any, Streams], Any]
Make = Callable[[Run, Site, Any], Patch]


def patch_site(run: Run, site: Site, denoiser: "nn.Module") -> dict[str, Patch]:
    """Patches one site's modules so that they follow ``run``; returns the patches by path inside the denoiser.

    Arguments:
        run: The state that they follow.
        site: The site.
        denoiser: The network that holds it.

    Raises:
        AssertionError: For the guidance pair, which is no module.
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
    return {part: made(run, site, denoiser.get_submodule(part)) for part, made in make.items()}


def _residual(run: Run, site: Site, module: "nn.Module") -> Patch:
    """Patches a module of whose result the input is taken off."""
    return Patch(module, "forward", lambda forward: _site(run, site, forward, _take_residual, _give_residual))


def _whole(run: Run, site: Site, module: "nn.Module") -> Patch:
    """Patches a module whose result is kept as it is."""
    return Patch(module, "forward", lambda forward: _site(run, site, forward, _as_it_is, _as_it_is))


def _idle(run: Run, site: Site, module: "nn.Module") -> Patch:
    """Patches a module that feeds only the one whose result is kept, so that it need not run.

    On a reuse step it hands on tensors without data (device ``meta``), so that what lies between, as activation and
    resampling, costs no arithmetic while the block's own forward stays as it is.
    """

    def idle(forward: Forward) -> Forward:
        def patched(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
            if run.action(site.name) is not Action.REUSE:
                return forward(*args, **kwargs)
            named = [kwargs[name] for name in ("hidden_states", "encoder_hidden_states") if kwargs.get(name) is not None]
            shapes = [tensor.to("meta") for tensor in (args[:1] or named)]
            return shapes[0] if len(shapes) == 1 else tuple(shapes)

        return patched

    return Patch(module, "forward", idle)


def _site(run: Run, site: Site, forward: Forward, take: Take, give: Give) -> Forward:
    """Returns a forward that computes, stores, or gives back.

    Arguments:
        run: The state that it follows.
        site: The site.
        forward: The module's own forward.
        take: (output, the inputs that it continues) -> what is stored.
        give: (what was stored, those inputs) -> output.
    """
    names = list(inspect.signature(forward).parameters)

    def patched(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        action = run.action(site.name)
        if action is Action.PLAIN:
            return forward(*args, **kwargs)
        inputs = {name: _argument(name, names, args, kwargs) for name in site.streams}
        if action is Action.REUSE:
            return give(load(run, site.name), inputs)
        output = forward(*args, **kwargs)
        run.note_computed(site.name)
        if action is Action.STORE:
            keep(run, site.name, take(output, inputs))
        return output

    return patched


def _argument(name: str, names: list[str], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:  # noqa: ANN401
    """Returns an argument by name; the first one where the module calls it otherwise."""
    if name in kwargs:
        return kwargs[name]
    place = names.index(name) if name in names else 0
    return args[place] if place < len(args) else None


def keep(run: Run, name: str, value: Any) -> None:  # noqa: ANN401
    """Stores a site's result; where only the conditional half was computed, the other half stays as it was."""
    key = (name, run.key)
    if run.half is not None:
        first = run.half
        value = _zip_tensors(lambda old, new: _join(old, new, first), run.features[key], value)
    run.features[key] = value


def load(run: Run, name: str) -> Any:  # noqa: ANN401
    """Returns what a site stored, cut to the half of the batch that is computed."""
    stored = run.features[(name, run.key)]
    first = run.half
    return stored if first is None else map_tensors(lambda tensor: tensor[half_of(tensor.shape[0], first)], stored)


def _join(old: "Tensor", new: "Tensor", first: bool) -> "Tensor":
    """Returns ``old`` with a half of its batch replaced; ``old`` itself may be in use and is not written to."""
    joined = old.clone()
    joined[half_of(old.shape[0], first)] = new
    return joined


def _zip_tensors(function: Callable[["Tensor", "Tensor"], "Tensor"], a: Any, b: Any) -> Any:  # noqa: ANN401
    """Applies ``function`` to the tensors of two nested tuples of the same form; what is no tensor is the second's."""
    if isinstance(a, (tuple, list)):
        return type(a)(_zip_tensors(function, x, y) for x, y in zip(a, b, strict=True))
    return function(a, b) if hasattr(a, "shape") else b


def _as_it_is(value: Any, inputs: Streams) -> Any:  # noqa: ANN401
    return value


def _take_residual(output: Any, inputs: Streams) -> Any:  # noqa: ANN401
    """Returns output minus input, of every stream where the module gives a tuple; a stream that ends there is None."""
    if hasattr(output, "shape"):
        return output - _picture(inputs)
    streams = [_picture(inputs)] if len(output) == 1 else inputs.values()
    return tuple(part if part is None else part - x for part, x in zip(output, streams, strict=True))


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
