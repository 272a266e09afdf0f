"""Whose run it is: the pipeline call in which a run began, so that another one's calls are never taken for it."""

import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from types import FrameType
from typing import Any

_IS_PIPELINE: dict[Any, bool] = {}
"""Code object -> whether it is the ``__call__`` of a pipeline."""


@dataclass(frozen=True, slots=True, eq=False)
class Owner:
    """A pipeline call that is under way, or a loop written by hand.

    Arguments:
        thread: Where it runs.
        frame: The frame of the pipeline's ``__call__``, held so that no later one can be taken for it; None for a loop
            written by hand.
    """

    thread: int
    frame: FrameType | None

    def is_(self, other: "Owner") -> bool:
        """Whether both are the same call."""
        return self.thread == other.thread and self.frame is other.frame

    @property
    def running(self) -> bool:
        """Whether the call has not returned yet; a loop written by hand tells nobody, so it counts as over."""
        frame = sys._current_frames().get(self.thread)
        return self.frame is not None and any(found is self.frame for found in _pipelines(frame))


def calling_pipeline() -> Any:  # noqa: ANN401
    """Returns the pipeline of the innermost call around this one; None in a loop written by hand."""
    frame = next(_pipelines(sys._getframe(1)), None)
    return None if frame is None else _self_of(frame)


def present() -> Owner:
    """Returns the innermost pipeline call around this one."""
    return Owner(threading.get_ident(), next(_pipelines(sys._getframe(1)), None))


def _pipelines(frame: FrameType | None) -> Iterator[FrameType]:
    """Yields the frames of pipelines' ``__call__`` on a stack, the innermost first."""
    while frame is not None:
        if frame.f_code.co_name == "__call__" and _is_pipeline(frame):
            yield frame
        frame = frame.f_back


def _is_pipeline(frame: FrameType) -> bool:
    code = frame.f_code
    if code not in _IS_PIPELINE:
        from diffusers import DiffusionPipeline

        _IS_PIPELINE[code] = isinstance(_self_of(frame), DiffusionPipeline)
    return _IS_PIPELINE[code]


def _self_of(frame: FrameType) -> Any:  # noqa: ANN401
    """Returns ``self`` of a method's frame.

    Before Python 3.13 a frame that was asked for its locals holds a copy of them from then on, and with it a pipeline's
    tensors of that moment; it is emptied at once.
    """
    copy = frame.f_locals
    found = copy.get("self")
    if isinstance(copy, dict):
        copy.clear()
    return found
