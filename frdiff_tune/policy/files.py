"""Policy files: read with migration, written whole or not at all."""

import json
import os
import re
import tempfile
from pathlib import Path
from typing import Any

from frdiff_tune.errors import PolicyError
from frdiff_tune.policy.migrations import migrate
from frdiff_tune.policy.policy import Policy

_FLAT_LIST = re.compile(r"\[[^\[\]{}\"]*\]")


def dumps(policy: Policy) -> str:
    """Returns the file's text; floats are written so that they read back bit for bit."""
    tree = policy.model_dump(mode="json", by_alias=True, exclude_none=True)
    text = json.dumps(tree, indent=2, allow_nan=False)
    return _FLAT_LIST.sub(lambda found: re.sub(r"\s+", " ", found.group()).replace("[ ", "[").replace(" ]", "]"), text) + "\n"


def loads(text: str, name: str) -> Policy:
    """Returns the policy that ``text`` holds; ``name`` stands in messages.

    Raises:
        PolicyError: If the text is no JSON object, or breaks a rule of the format.
    """
    try:
        tree: Any = json.loads(text)
    except json.JSONDecodeError as error:
        raise PolicyError(
            f"`{name}` must be a whole JSON file but breaks off or is malformed at line {error.lineno} ({error.msg}). "
            f"Copy it again, or export it anew."
        ) from error
    if not isinstance(tree, dict):
        raise PolicyError(f"`{name}` must hold a JSON object but got a {type(tree).__name__}. Export the policy anew.")
    return Policy.model_validate(migrate(tree))


def read(path: Path) -> Policy:
    """Reads a policy file (see ``Policy.load``)."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise PolicyError(f"`{path}` must be a readable policy file but: {error}. Check the path.") from error
    return loads(text, str(path))


def write(policy: Policy, path: Path) -> None:
    """Writes a policy file atomically (see ``Policy.save``)."""
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", encoding="utf-8", dir=path.parent, suffix=".part", delete=False) as file:
            temporary = Path(file.name)
            file.write(dumps(policy))
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(0o666 & ~_umask())
        temporary.replace(path)
    except OSError as error:
        if temporary is not None:
            temporary.unlink(missing_ok=True)
        raise PolicyError(
            f"`{path}` could not be written: {error}. Nothing was changed; free space or choose another path."
        ) from error


def _umask() -> int:
    """Returns the process's umask, which can only be read by setting it."""
    mask = os.umask(0o077)
    os.umask(mask)
    return mask
