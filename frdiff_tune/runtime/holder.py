"""Who has a policy on: kept beside the pipelines, so that nothing is written on the user's objects."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from frdiff_tune.errors import MismatchError
from frdiff_tune.runtime.site import find_denoiser

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True, slots=True)
class Holder:
    """A pipeline with a policy on: its class name, and the scheduler that it gets back."""

    pipeline: str
    scheduler: Any


_HOLDERS: "WeakKeyDictionary[nn.Module, Holder]" = WeakKeyDictionary()


def hold(denoisers: "Sequence[nn.Module]", holder: Holder) -> None:
    """Notes that denoisers, and the scheduler that they are walked with, follow a policy.

    Raises:
        MismatchError: If one follows another already.
    """
    taken = next((found for found in _HOLDERS.values() if found.scheduler is holder.scheduler), None)
    for denoiser in denoisers:
        if denoiser in _HOLDERS:
            raise MismatchError(
                f"`pipe` must have no policy on but its {type(denoiser).__name__} already follows one, put on through "
                f"{_HOLDERS[denoiser].pipeline}. `.remove()` that one first, or switch with `.use(policy)`."
            )
    if taken is not None:
        raise MismatchError(
            f"`pipe.scheduler` must have no policy on but this {type(holder.scheduler).__name__} already follows one, put on "
            f"through {taken.pipeline}. Give `pipe` its own: pipe.scheduler = type(pipe.scheduler).from_config("
            f"pipe.scheduler.config)."
        )
    for denoiser in denoisers:
        _HOLDERS[denoiser] = holder


def release(denoisers: "Sequence[nn.Module]") -> None:
    """Notes that denoisers follow no policy any more."""
    for denoiser in denoisers:
        _HOLDERS.pop(denoiser, None)


def own_scheduler(pipe: Any) -> Any:  # noqa: ANN401
    """Returns the user's scheduler, also while a policy has installed its own."""
    holder = _HOLDERS.get(find_denoiser(pipe).module)
    return pipe.scheduler if holder is None else holder.scheduler
