"""A recorder of operations that stands in for CUDA graphs on the CPU: the same operations again, on the same memory.

As with a CUDA graph, nothing of Python runs in a replay: numbers, shapes and branches are those of the recording, and what is
read and written lies where it lay. Unlike one, recording runs the work; what it wrote into older memory is put back.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map_only


class Tape(TorchDispatchMode):
    """Notes operations."""

    def __init__(self) -> None:
        super().__init__()
        self.operations: list[tuple[Any, Any, Any, Any]] = []
        self.before: dict[int, tuple[Tensor, Tensor]] = {}
        self._own: set[int] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        for argument, value in zip(func._schema.arguments, args, strict=False):
            written = argument.alias_info is not None and argument.alias_info.is_write
            if written and isinstance(value, Tensor) and value.untyped_storage().data_ptr() not in self._own:
                self.before.setdefault(id(value), (value, value.clone()))
        result = func(*args, **kwargs)
        self._own |= {part.untyped_storage().data_ptr() for part in tree_leaves(result) if _is_new(part, args)}
        self.operations.append((func, args, kwargs, result))
        return result

    def replay(self) -> None:
        """Runs the operations again."""
        present: dict[int, Any] = {}

        def now(tree: Any) -> Any:
            return tree_map_only(Tensor, lambda tensor: present.get(id(tensor), tensor), tree)

        for func, args, kwargs, result in self.operations:
            again = func(*now(args), **now(kwargs))
            for old, new in zip(tree_leaves(result), tree_leaves(again), strict=True):
                if isinstance(old, Tensor):
                    present[id(old)] = new
        self.present = present


def _is_new(part: Any, args: Any) -> bool:
    memory = {t.untyped_storage().data_ptr() for t in tree_leaves(args) if isinstance(t, Tensor) and t.device.type != "meta"}
    return isinstance(part, Tensor) and part.device.type != "meta" and part.untyped_storage().data_ptr() not in memory


class TapeRecorder:
    """Records by tape.

    Attributes:
        recorded: How many tapes there are.
    """

    def __init__(self) -> None:
        self.recorded = 0

    def __call__(self, work: Callable[[], Any]) -> tuple[Callable[[], None], Any]:
        """As ``CudaRecorder``."""
        tape = Tape()
        with tape:
            result = work()
        for tensor, value in reversed(tape.before.values()):
            tensor.copy_(value)
        results = [part for part in tree_leaves(result) if isinstance(part, Tensor)]
        self.recorded += 1

        def replay() -> None:
            with torch.no_grad():
                tape.replay()
                for part in results:
                    part.copy_(tape.present.get(id(part), part))

        return replay, result
