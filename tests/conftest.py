"""What many tests need: the embedded models, loaded once a process."""

from typing import Any

import pytest
import torch

from frdiff_tune.runtime import load_pipeline


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
