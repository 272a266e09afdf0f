"""One case: what a pipeline is called with, beside what is the same for all cases."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from random import Random
from types import MappingProxyType
from typing import Any

BATCHED = frozenset(  # arguments that pipelines take as a list, one entry per picture
    stem + suffix for stem in ("prompt", "negative_prompt") for suffix in ("", "_2", "_3")
) | {"class_labels"}


@dataclass(frozen=True)
class Case:
    """A picture to make: call arguments and a seed.

    Arguments:
        arguments: What the pipeline is called with for this picture, as JSON values: ``{"prompt": "a fox"}``.
        seed: Of the picture's own generator, on the CPU.
        name: How a figure calls the case; does not change its digest. Empty: its first text.
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
        texts = [str(value) for value in self.arguments.values()]
        return self.name or (texts[0] if texts else f"seed {self.seed}")

    @cached_property
    def kind(self) -> str:
        """Equal for cases that can share one call: the same arguments, and those that take no list with equal values."""
        single = {name: value for name, value in self.arguments.items() if name not in BATCHED}
        return digest_of([sorted(self.arguments), single])


def digest_of(value: object) -> str:
    """Returns the SHA-256 of a JSON value in canonical form, hexadecimal."""
    return sha256(json.dumps(value, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


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
    arguments: dict[str, Any] = {
        name: [case.arguments[name] for case in cases] if name in BATCHED else value
        for name, value in cases[0].arguments.items()
    }
    return arguments | {"generator": [torch.Generator("cpu").manual_seed(case.seed) for case in cases]}


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
