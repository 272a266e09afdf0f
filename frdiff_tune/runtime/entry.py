"""Where a pipeline calls its network: outside of what is compiled, so that nothing of a run is compiled into it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from frdiff_tune.runtime.patch import Patch
from frdiff_tune.runtime.run import Run
from frdiff_tune.runtime.score import ScorePatch
from frdiff_tune.runtime.site import Denoiser

if TYPE_CHECKING:
    from torch import nn


class Entry:
    """A score patch that stands where the pipeline calls a network, also if that place moves.

    ``torch.compile(network)`` gives the pipeline another object to call, ``network.compile()`` another method. The network's
    own ``forward`` is what gets compiled, so the patch must not stand there then.

    Arguments:
        pipe: The pipeline.
        denoiser: One of its networks.
        score: The patch, without a place yet.
    """

    def __init__(self, pipe: Any, denoiser: Denoiser, score: ScorePatch) -> None:  # noqa: ANN401
        self._pipe, self._denoiser, self.score = pipe, denoiser, score
        self._patch: Patch | None = None

    @property
    def component(self) -> str:
        """Name under which the pipeline holds the network."""
        return self._denoiser.component

    def settle(self) -> None:
        """Moves to where the pipeline calls its network now."""
        owner, name = self._place()
        self.score.volatile = owner is not self._denoiser.module or _is_compiled(self._denoiser.module)
        if self._patch is not None and self._patch.owner is owner and self._patch.name == name:
            return
        self.remove()
        self._patch = Patch(owner, name, self._made)

    def remove(self) -> None:
        """Gives the network back."""
        if self._patch is not None:
            self._patch.remove()
            self._patch = None

    def _made(self, forward: Callable[..., Any]) -> Callable[..., Any]:
        self.score.forward = forward
        return self.score

    def _place(self) -> tuple[Any, str]:
        """Returns the object and its method that the pipeline calls."""
        module = self._denoiser.module
        held = getattr(self._pipe, self._denoiser.component)
        if held is not module:
            return held, "forward"
        return module, "forward" if module._compiled_call_impl is None else "_compiled_call_impl"


def named_passes(run: Run) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Returns the patch of a network's ``cache_context`` that makes the pipeline's name of a pass known to the run."""

    def make(cache_context: Callable[..., Any]) -> Callable[..., Any]:
        @contextmanager
        def patched(name: str, *args: Any, **kwargs: Any) -> Iterator[None]:  # noqa: ANN401
            before, run.context = run.context, name
            try:
                with cache_context(name, *args, **kwargs):
                    yield
            finally:
                run.context = before

        return patched

    return make


def _is_compiled(network: "nn.Module") -> bool:
    """Whether a network, or a part of it, is compiled in place."""
    compiled = any(module._compiled_call_impl is not None for module in network.modules())
    return compiled or hasattr(vars(network).get("forward"), "_torchdynamo_orig_callable")
