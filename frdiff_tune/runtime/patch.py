"""Patches: an attribute of one object replaced, and put back exactly as it was."""

from collections.abc import Callable
from typing import Any

MISSING = object()


class Patch:
    """Replaces an attribute on one instance until ``remove`` is called.

    Arguments:
        owner: The object; its class is never touched.
        name: The attribute, a method.
        make: From the method as it was to the one that stands in for it.
    """

    def __init__(self, owner: object, name: str, make: Callable[[Callable[..., Any]], Callable[..., Any]]) -> None:
        self._owner, self._name, self._make = owner, name, make
        self._wrapped: Any = MISSING
        self._ours: Any = MISSING
        self._before: Any = MISSING
        self.put()

    def put(self) -> None:
        """Puts the replacement on, at first or again: the same object, unless another method is to be replaced by now."""
        if self.stands:
            return
        self._before = vars(self._owner).get(self._name, MISSING)
        present = getattr(self._owner, self._name)
        if self._ours is MISSING or present != self._wrapped:
            self._wrapped, self._ours = present, self._make(present)
        object.__setattr__(self._owner, self._name, self._ours)

    @property
    def name(self) -> str:
        """The attribute that is replaced."""
        return self._name

    @property
    def owner(self) -> object:
        """The object whose attribute is replaced."""
        return self._owner

    @property
    def stands(self) -> bool:
        """Whether the attribute is still the replacement."""
        return vars(self._owner).get(self._name, self) is self._ours

    def remove(self) -> None:
        """Puts the attribute back; if somebody wrapped ours meanwhile, it is left to them and ours only passes on.

        Hooks of accelerate keep what they wrapped as ``_old_forward``: there the owner's own is put back.
        """
        if not self.stands:
            kept = f"_old_{self._name}"
            if vars(self._owner).get(kept) is self._ours:
                own = getattr(type(self._owner), self._name).__get__(self._owner)
                object.__setattr__(self._owner, kept, own if self._before is MISSING else self._before)
            return
        if self._before is MISSING:
            object.__delattr__(self._owner, self._name)
        else:
            object.__setattr__(self._owner, self._name, self._before)
