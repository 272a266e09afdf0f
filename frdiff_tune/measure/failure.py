"""Failures: candidates that cannot be had, which is a result of the measurement like any other."""

import gc
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

import torch

from frdiff_tune.errors import FrdiffError
from frdiff_tune.measure.picture import PictureError

Reason = Literal["out_of_memory", "not_finite", "black", "raised"]
REASONS: dict[Reason, str] = {
    "out_of_memory": "out of memory",
    "not_finite": "NaN or infinity in a picture",
    "black": "a black picture where the reference has none",
    "raised": "raised an error",
}
Measured = TypeVar("Measured")
LINES = 400  # characters of a message


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a candidate was not measured to its end.

    Arguments:
        reason: ``out_of_memory``, ``not_finite``, ``black`` or ``raised``.
        message: What was said.
        block: Number of the block of cases in which it happened.
    """

    reason: Reason
    message: str
    block: int

    def __str__(self) -> str:
        return f"{REASONS[self.reason]}: {self.message}"


def failure_of(error: Exception, block: int) -> Failure | None:
    """Returns the failure that an exception of a candidate is; None for a mistake of the caller, which is to be raised.

    Arguments:
        error: What was raised while the candidate ran.
        block: Number of the block of cases.
    """
    if isinstance(error, PictureError):
        return Failure(error.reason, str(error), block)
    if isinstance(error, FrdiffError):
        return None
    text = f"{type(error).__name__}: {error}"[:LINES]
    return Failure("out_of_memory" if _is_memory(error) else "raised", text, block)


def tried(pipe: Any, close: Callable[[], None], block: int, measure: Callable[[], Measured]) -> Measured | Failure:  # noqa: ANN401
    """Returns what a measurement gives, or the failure that it ends in; then the pipeline is as a new process would find it.

    Arguments:
        pipe: The pipeline.
        close: Takes the candidate's policy off.
        block: Number of the block of cases.
        measure: Measures it.
    """
    try:
        return measure()
    except Exception as error:
        found = failure_of(error, block)
        if found is None:
            raise
    close()  # out of the handler, whose frames hold the broken-off call's tensors
    recover(pipe)
    return found


def _is_memory(error: Exception) -> bool:
    """Whether memory ran out: of a device, or of the host, for which torch has no class of its own."""
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return True
    said = str(error)
    return isinstance(error, RuntimeError) and ("can't allocate memory" in said or "not enough memory" in said)


def recover(pipe: Any) -> None:  # noqa: ANN401
    """Frees what a broken-off call left: tensors of its frames, cached device memory, offloaded parts.

    Arguments:
        pipe: The pipeline, its policy taken off.
    """
    gc.collect()
    if torch.accelerator.is_available():
        torch.accelerator.empty_cache()
    if hasattr(pipe, "maybe_free_model_hooks"):
        pipe.maybe_free_model_hooks()  # a call that is broken off leaves offloaded networks on the device
