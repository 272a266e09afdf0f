"""From older policy files to the present format, one step per ``schema_version``."""

from collections.abc import Callable
from typing import Any

from frdiff_tune.errors import PolicyError
from frdiff_tune.policy.policy import SCHEMA_VERSION

Tree = dict[str, Any]

MIGRATIONS: dict[int, Callable[[Tree], Tree]] = {1: dict}
"""Version -> function that turns a tree of that version into one of the next.

Version 2 adds ``sampling.grid``, ``fit`` and a scheduler of tables; what a file of version 1 says, it says in the same words.
"""


def migrate(tree: Tree) -> Tree:
    """Returns ``tree`` in the present format.

    Raises:
        PolicyError: If the version is missing, no integer, unknown, or newer than this installation.
    """
    version = tree.get("schema_version")
    if isinstance(version, bool) or not isinstance(version, int):
        raise PolicyError(f"`schema_version` must be an integer but got {version!r}. This file is no frdiff-tune policy.")
    if version > SCHEMA_VERSION:
        raise PolicyError(
            f"`schema_version` must be at most {SCHEMA_VERSION} but got {version}. "
            f"Upgrade with `pip install -U frdiff-tune`, or export the policy again with this version."
        )
    while version < SCHEMA_VERSION:
        if version not in MIGRATIONS:
            raise PolicyError(f"`schema_version` must be 1 to {SCHEMA_VERSION} but got {version}. Export the policy again.")
        tree = {**MIGRATIONS[version](tree), "schema_version": version + 1}
        version += 1
    return tree
