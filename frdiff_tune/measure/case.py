"""One case: what a pipeline is called with, beside what is the same for all cases."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from random import Random
from types import MappingProxyType
from typing import Any

from frdiff_tune.measure.image_file import ImageFile

BATCHED = frozenset(  # arguments that pipelines take as a list, one entry per picture
    stem + suffix for stem in ("prompt", "negative_prompt") for suffix in ("", "_2", "_3")
) | {"class_labels"}


@dataclass(frozen=True)
class Case:
    """A picture to make: call arguments and a seed.

    Arguments:
        arguments: What the pipeline is called with for this picture, as JSON values and ``ImageFile``: ``{"prompt": "a fox"}``.
        seed: Of the picture's own generator, on the CPU.
        name: How a figure calls the case; does not change its digest. Empty: its prompt, else its first argument.
    """

    arguments: Mapping[str, Any]
    seed: int = 0
    name: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "arguments", MappingProxyType(dict(self.arguments)))

    def __hash__(self) -> int:
        return hash(self.digest)

    def __reduce__(self) -> tuple[type["Case"], tuple[dict[str, Any], int, str]]:
        return Case, (dict(self.arguments), self.seed, self.name)  # a mapping proxy cannot be pickled

    @cached_property
    def digest(self) -> str:
        """SHA-256 of arguments and seed, hexadecimal."""
        return digest_of({"arguments": dict(self.arguments), "seed": self.seed})

    @property
    def label(self) -> str:
        """Short text for a figure."""
        shown = self.arguments.get("prompt") or next(iter(self.arguments.values()), f"seed {self.seed}")
        return self.name or _text(shown)

    @cached_property
    def kind(self) -> str:
        """Equal for cases that can share one call.

        They have the same arguments, equal values of those that take no list, and pictures of equal sizes. A case with a
        picture of which a call takes only one shares its call with no other.
        """
        images = {name: self.arguments[name] for name in image_names(self)}
        if not all(isinstance(value, ImageFile) and value.batched for value in images.values()):
            return self.digest
        single = {name: value for name, value in self.arguments.items() if name not in BATCHED and name not in images}
        return digest_of([sorted(self.arguments), single, {name: value.size for name, value in images.items()}])


def image_names(case: Case) -> tuple[str, ...]:
    """Returns the arguments of a case that are pictures."""
    return tuple(name for name, value in case.arguments.items() if _is_image(value))


def digest_of(value: object) -> str:
    """Returns the SHA-256 of a JSON value in canonical form, hexadecimal; pictures in it count by their pixels."""
    return sha256(json.dumps(value, sort_keys=True, separators=(",", ":"), default=_content).encode()).hexdigest()


def _content(value: object) -> object:
    if isinstance(value, ImageFile):
        return {"pixels": value.digest}
    raise TypeError(f"{value!r} is no JSON value")


def _is_image(value: object) -> bool:
    return isinstance(value, ImageFile) or (isinstance(value, tuple) and any(isinstance(one, ImageFile) for one in value))


def _text(value: object) -> str:
    first = value[0] if isinstance(value, tuple) and value else value
    return first.path.stem if isinstance(first, ImageFile) else str(value)


def cases_digest(cases: Iterable[Case]) -> str:
    """Returns the SHA-256 of a list of cases, hexadecimal; their order counts."""
    return digest_of([case.digest for case in cases])


def call_arguments(cases: Sequence[Case]) -> dict[str, Any]:
    """Returns what one call makes these cases with, each from its own generator.

    Arguments:
        cases: Cases of one kind.
    """
    import torch

    assert len({case.kind for case in cases}) == 1, "one call takes cases of one kind"
    arguments = {name: _together(name, [case.arguments[name] for case in cases]) for name in cases[0].arguments}
    return arguments | {"generator": [torch.Generator("cpu").manual_seed(case.seed) for case in cases]}


def _together(name: str, values: Sequence[Any]) -> Any:  # noqa: ANN401
    """Returns what a call takes for an argument of several cases; files are opened here."""
    first = values[0]
    if name in BATCHED:
        return list(values)
    if isinstance(first, ImageFile):
        return [value.load() for value in values] if first.batched and len(values) > 1 else first.load()
    return [image.load() for image in first] if _is_image(first) else first


def blocks(cases: Sequence[Case], size: int) -> tuple[tuple[Case, ...], ...]:
    """Returns the cases in blocks of at most ``size``, each of one kind; always the same blocks for the same cases."""
    kinds: dict[str, list[Case]] = {}
    for case in cases:
        kinds.setdefault(case.kind, []).append(case)
    return tuple(tuple(alike[first : first + size]) for alike in kinds.values() for first in range(0, len(alike), size))


def shuffled(cases: Sequence[Case]) -> tuple[Case, ...]:
    """Returns the cases in an order that follows from their digests alone.

    The first blocks of a file that lists its subjects by kind are then no worse a sample than the last ones.
    """
    order = list(cases)
    Random(cases_digest(cases)).shuffle(order)
    return tuple(order)
