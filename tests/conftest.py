"""What many tests need: the embedded models, loaded once a process."""

from pathlib import Path
from typing import Any

import pytest
import torch

from frdiff_tune.runtime import load_pipeline

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    """Two test processes share two cores."""
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def emoji() -> Any:
    """The embedded text-to-image pipeline; whoever puts a policy on takes it off again."""
    return load_pipeline("demo:emoji", device="cpu")


@pytest.fixture(scope="session")
def emoji_dit() -> Any:
    """The embedded class-to-image pipeline; whoever puts a policy on takes it off again."""
    return load_pipeline("demo:emoji-dit", device="cpu")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keeps a file's tests in one process, and those of the command line: each tunes its study once, not once per process."""
    for item in items:
        folder = item.path.relative_to(ROOT).parent
        group = str(folder if folder.parts[:2] == ("tests", "cli") else item.path.relative_to(ROOT))
        item.add_marker(pytest.mark.xdist_group(group))
