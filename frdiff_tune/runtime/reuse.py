"""Reuse: how a site keeps what it computed and gives it back, by kind."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from frdiff_tune.runtime.families import Kind
from frdiff_tune.runtime.patch import Patch
from frdiff_tune.runtime.run import Action, Run, map_tensors

if TYPE_CHECKING:
    from torch import Tensor, nn

Forward = Callable[..., Any]


def patch_site(run: Run, name: str, kind: Kind, module: "nn.Module") -> list[Patch]:
    """Patches one site's module so that it follows ``run``; returns the patches to remove later.

    Raises:
        AssertionError: For the guidance pair, which is no module.
    """
    match kind:
        case "convolution":
            return _patch_convolution(run, name, module)
        case "residual":
            return [Patch(module, "forward", lambda forward: _site(run, name, forward, _take_residual, _give_residual))]
        case "output":
            return [Patch(module, "forward", lambda forward: _site(run, name, forward, _take_output, _give_output))]
        case _:
            raise AssertionError(f"{kind} is no module")


def _site(
    run: Run,
    name: str,
    forward: Forward,
    take: Callable[[Any, "Tensor"], Any],
    give: Callable[[Any, "Tensor", bool], Any],
) -> Forward:
    """Returns a forward that computes, stores, or gives back.

    Arguments:
        run: The state that it follows.
        name: The site.
        forward: The module's own forward.
        take: (output, input) -> what is stored.
        give: (what was stored, input, whether a tuple is expected) -> output.
    """

    def patched(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        action = run.action(name)
        if action is Action.PLAIN:
            return forward(*args, **kwargs)
        x = args[0] if args else kwargs["hidden_states"]
        if action is Action.REUSE:
            return give(load(run, name), x, kwargs.get("return_dict") is False)
        output = forward(*args, **kwargs)
        run.note_computed(name)
        if action is Action.STORE:
            keep(run, name, take(output, x))
        return output

    return patched


def keep(run: Run, name: str, value: Any) -> None:  # noqa: ANN401
    """Stores a site's result; where only the conditional half was computed, the other half stays as it was."""
    key = (name, run.pass_index)
    if run.half is not None:
        half = run.half
        value = _zip_tensors(lambda old, new: _join(old, new, half), run.features[key], value)
    run.features[key] = value


def load(run: Run, name: str) -> Any:  # noqa: ANN401
    """Returns what a site stored, cut to the half of the batch that is computed."""
    stored = run.features[(name, run.pass_index)]
    half = run.half
    return stored if half is None else map_tensors(lambda tensor: tensor[half], stored)


def _join(old: "Tensor", new: "Tensor", half: slice) -> "Tensor":
    """Returns ``old`` with ``half`` of its batch replaced; ``old`` itself may be in use and is not written to."""
    joined = old.clone()
    joined[half] = new
    return joined


def _zip_tensors(function: Callable[["Tensor", "Tensor"], "Tensor"], a: Any, b: Any) -> Any:  # noqa: ANN401
    """Applies ``function`` to the tensors of two nested tuples of the same form."""
    if isinstance(a, (tuple, list)):
        return type(a)(_zip_tensors(function, x, y) for x, y in zip(a, b, strict=True))
    return function(a, b)


def _take_output(output: Any, x: "Tensor") -> Any:  # noqa: ANN401
    return output


def _give_output(stored: Any, x: "Tensor", as_tuple: bool) -> Any:  # noqa: ANN401
    return stored


def _take_residual(output: Any, x: "Tensor") -> "Tensor":  # noqa: ANN401
    residual: Tensor = (output if hasattr(output, "shape") else output[0]) - x
    return residual


def _give_residual(stored: "Tensor", x: "Tensor", as_tuple: bool) -> Any:  # noqa: ANN401
    return (x + stored,) if as_tuple else x + stored


def _patch_convolution(run: Run, name: str, module: Any) -> list[Patch]:  # noqa: ANN401
    """Patches a residual block: its first convolution is kept, and what feeds only that convolution need not run.

    On a reuse step the first norm hands on a tensor without data (device ``meta``), so that activation and resampling of
    the hidden branch cost no arithmetic while the block's own forward stays as it is; the convolution then returns what
    it stored.
    """

    def skip_norm(forward: Forward) -> Forward:
        def patched(x: "Tensor", *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
            return x.to("meta") if run.action(name) is Action.REUSE else forward(x, *args, **kwargs)

        return patched

    return [
        Patch(module.norm1, "forward", skip_norm),
        Patch(module.conv1, "forward", lambda forward: _site(run, name, forward, _take_output, _give_output)),
    ]
