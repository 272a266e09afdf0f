"""Compiled graphs: one per distinct row of the masks, also where that is more than torch allows by itself."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def room_for_graphs(rows: int) -> Iterator[None]:
    """Lets ``torch.compile`` make a graph for every row during a network call.

    By itself torch gives up after 8 recompilations of the same code and goes on uncompiled, which for a policy would be in
    the middle of the first image. Nothing happens where nothing has been compiled.

    Arguments:
        rows: Distinct rows of the masks.
    """
    dynamo = sys.modules.get("torch._dynamo")
    config = getattr(dynamo, "config", None)
    if config is None:
        yield
        return
    before = config.recompile_limit
    config.recompile_limit = before + 2 * rows  # a row may be met with a pair of samples and with half of it
    try:
        yield
    finally:
        config.recompile_limit = before
