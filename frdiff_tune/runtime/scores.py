"""The scores that keyframes leave for later jumps, by pass."""

from collections import deque
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


class Scores:
    """Scores of the last keyframes of each pass, newest first; as many as a policy weighs at once."""

    def __init__(self) -> None:
        self._history = 0
        self._kept: dict[str, deque[tuple[int, Tensor]]] = {}

    def load(self, history: int) -> None:
        """Sets how many keyframes a jump weighs at most."""
        self._history = history

    def push(self, key: str, t: int, score: "Tensor", keyframe: bool) -> None:
        """Keeps the score of step ``t`` of a pass; one of a step that is no keyframe only fills an empty store."""
        kept = self._kept.setdefault(key, deque(maxlen=self._history))
        if keyframe or not kept:
            kept.appendleft((t, score))

    def __getitem__(self, key: str) -> "list[Tensor]":
        """The scores of a pass, newest first."""
        return [score for _, score in self._kept[key]]

    def ready(self, key: str, keyframes: Sequence[int], count: int) -> bool:
        """Whether the scores that a jump weighs are all there.

        Arguments:
            key: The pass.
            keyframes: Those before the jump, in order.
            count: How many of them it weighs; of a single one any score may stand for it.
        """
        steps = [t for t, _ in self._kept.get(key, ())][:count]
        return len(steps) == count if count <= 1 else steps == list(keyframes[: -count - 1 : -1])

    def park(self) -> "dict[str, deque[tuple[int, Tensor]]]":
        """Hands over what a run has stored; nothing of it is left here."""
        stored, self._kept = self._kept, {}
        return stored

    def resume(self, stored: "dict[str, deque[tuple[int, Tensor]]]") -> None:
        """Takes back what a run has stored."""
        self._kept = stored

    def forget(self, key: str) -> None:
        """Drops what a pass has kept."""
        self._kept.pop(key, None)

    def clear(self) -> None:
        """Drops everything."""
        self._kept.clear()

    def tensors(self) -> "Iterator[Tensor]":
        """Yields all scores."""
        yield from (score for kept in self._kept.values() for _, score in kept)
