"""A study of the embedded model, tuned for real on a budget of seconds, shared by the tests of this folder."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from frdiff_tune.cli import app

TRIALS = 4
STUDY = """
[model]
source = "demo:emoji"
[call]
num_inference_steps = 4
guidance_scale = 1.0
[cases]
search = "demo:prompts/search.txt"
held_out = "demo:prompts/held_out.txt"
search_count = 2
held_out_count = 2
quality_batch = 2
[space]
name = "stable-diffusion"
[search]
trials = {trials}
storage = "sqlite:///{storage}"
[measure]
latency_calls = 8
floor_count = 1
"""

Run = Callable[..., Result]


@pytest.fixture(scope="session")
def run() -> Run:
    """Returns a function that runs ``frdiff-tune`` with its arguments."""

    def invoke(*arguments: object) -> Result:
        return CliRunner().invoke(app, [str(argument) for argument in arguments])

    return invoke


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder for everything, references too."""
    path = tmp_path_factory.mktemp("cli")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FRDIFF_TUNE_CACHE", str(path / "cache"))
        yield path


@pytest.fixture(scope="session")
def study(folder: Path) -> Path:
    """A study file that nothing was measured of yet."""
    path = folder / "tiny.toml"
    path.write_text(STUDY.format(trials=TRIALS, storage=folder / "study.db"), encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def tuned(study: Path, run: Run) -> Result:
    """What ``tune`` said of the study."""
    return run("tune", study)


@pytest.fixture(scope="session")
def exported(tuned: Result, study: Path, folder: Path, run: Run) -> tuple[Path, Result]:
    """A policy file, and what ``export`` said of it."""
    assert tuned.exit_code == 0, tuned.output
    out = folder / "out"
    figures = ("--figure", out / "front.png", "--side-by-side", out / "side_by_side.png", "--pictures", 2)
    return out / "policy.json", run("export", study, "--pick", "trial:1", "-o", out / "policy.json", *figures)
