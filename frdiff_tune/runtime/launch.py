"""How a network is launched: kernel by kernel, by CUDA graphs, or compiled."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, get_args

from frdiff_tune.errors import MismatchError
from frdiff_tune.runtime.capture import CudaRecorder, Graphs, Recorder
from frdiff_tune.runtime.site import Denoiser

if TYPE_CHECKING:
    from torch import nn

Capture = Literal["eager", "cuda_graphs", "compile"]
CAPTURES: tuple[str, ...] = get_args(Capture)


class Launch:
    """How the networks of a pipeline are launched; by kernels, until ``switch``.

    Arguments:
        pipe: The pipeline.
        denoisers: Its networks.

    Attributes:
        capture: How, at present or when it last was another way than by kernels.
    """

    def __init__(self, pipe: Any, denoisers: Sequence[Denoiser]) -> None:  # noqa: ANN401
        self.capture: Capture = "eager"
        self._pipe, self._denoisers = pipe, denoisers
        self._compiled: list[tuple[nn.Module, Any]] = []
        self._graphs: dict[str, Graphs] = {}

    def switch(self, capture: Capture) -> None:
        """Launches the networks in a way; graphs and compiled code of others are kept.

        Raises:
            MismatchError: If there is no such way, or a network cannot be launched in it.
        """
        if capture not in CAPTURES:
            raise MismatchError(f"`capture` must be one of {', '.join(CAPTURES)} but got {capture!r}. Use 'eager' to be safe.")
        self.rest()
        if capture != "eager":
            for denoiser in self._denoisers:
                _check_plain(getattr(self._pipe, denoiser.component), capture)
        if capture == "cuda_graphs" and not self._graphs:
            record = recorder([denoiser.module for denoiser in self._denoisers])
            self._graphs = {denoiser.component: Graphs(denoiser.module, record) for denoiser in self._denoisers}
        if capture == "compile":
            self._compile()
        self.capture = capture

    def _compile(self) -> None:
        if not self._compiled:
            for part in (part for denoiser in self._denoisers for part in _parts(denoiser.module)):
                part.compile()
                self._compiled.append((part, part._compiled_call_impl))
        for part, compiled in self._compiled:
            part._compiled_call_impl = compiled

    def graphs(self, component: str) -> Graphs | None:
        """Returns the graphs of a network; None where it is launched without."""
        return self._graphs[component] if self.capture == "cuda_graphs" else None

    def begin(self) -> None:
        """Called when a run begins: forgets graphs of networks that are not as they were."""
        if self.capture == "cuda_graphs":
            for graphs in self._graphs.values():
                graphs.begin()

    def rest(self) -> None:
        """Launches the networks by kernels, until ``switch``."""
        for part, _ in self._compiled:
            part._compiled_call_impl = None

    def remove(self) -> None:
        """Frees the graphs and the compiled code; the networks are plain again."""
        self.rest()
        self._graphs.clear()
        self._compiled.clear()


def recorder(networks: "Sequence[nn.Module]") -> Recorder:
    """Returns what records CUDA graphs of networks.

    Raises:
        MismatchError: If they are not on a CUDA device.
    """
    devices = sorted({parameter.device.type for network in networks for parameter in network.parameters()})
    if devices != ["cuda"]:
        raise MismatchError(
            f"`capture` must be 'eager' or 'compile' for networks that are not on a CUDA device as a whole, but "
            f"'cuda_graphs' was asked for one on {', '.join(devices)}. Move it there first (`pipe.to(\"cuda\")`)."
        )
    return CudaRecorder()


def _check_plain(network: Any, capture: str) -> None:  # noqa: ANN401
    """Refuses what a recording cannot hold: networks that are compiled already, and hooks that move or cast weights."""
    own = getattr(network, "_orig_mod", network)
    if own is not network or any(module._compiled_call_impl is not None for module in own.modules()):
        raise MismatchError(
            f"`capture` must be 'eager' for a network that is compiled already but got {capture!r}. "
            f'Compile with mode="reduce-overhead" for CUDA graphs, or give the network as it was.'
        )
    for path, module in own.named_modules():
        hooks = getattr(getattr(module, "_diffusers_hook", None), "hooks", {})
        found = [type(module._hf_hook).__name__] if getattr(module, "_hf_hook", None) is not None else list(hooks)
        if found and capture == "cuda_graphs":
            raise MismatchError(
                f"`capture` must be 'eager' for a network with hooks that move or cast its weights, but {path or 'it'!r} has "
                f"{', '.join(found)}, as offloading and layerwise casting put there. Switch that off, or use 'eager'."
            )


def _parts(network: "nn.Module") -> "list[nn.Module]":
    """Returns what is compiled: the blocks that a network repeats, which takes a fraction of the time, or all of it."""
    repeated: Sequence[str] = getattr(network, "_repeated_blocks", None) or ()
    blocks = [module for module in network.modules() if type(module).__name__ in repeated]
    return blocks or [network]
