"""What many tests need: the embedded models, loaded once a process."""

from typing import Any

import pytest
import torch

from frdiff_tune.runtime import load_pipeline

COMMAND_LINE = "tests/cli/"


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


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Keeps a file's tests in one process, and those of the command line: each study is tuned once, not once per process."""
    from xdist.scheduler import LoadScopeScheduling

    class ByFile(LoadScopeScheduling):  # type: ignore[misc]  # it carries no types
        def _split_scope(self, nodeid: str) -> str:
            return COMMAND_LINE if nodeid.startswith(COMMAND_LINE) else nodeid.partition("::")[0]

    return ByFile(config, log)
