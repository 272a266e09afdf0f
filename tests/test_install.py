"""What a plain ``pip install`` gives: a wheel with everything in it, and torch and torchvision that fit."""

import subprocess
import sys
import zipfile
from importlib.metadata import requires, version
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    subprocess.run(command, check=True, capture_output=True, text=True)
    return next(folder.glob("*.whl"))


def test_wheel_holds_models_prompts_spaces_and_studies(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    expected = {f"frdiff_tune/studies/{path.name}" for path in (ROOT / "studies").glob("*.toml")}
    expected |= {f"frdiff_tune/search_spaces/{path.name}" for path in (ROOT / "search_spaces").glob("*.toml")}
    demo = [path for path in (ROOT / "frdiff_tune" / "demo").rglob("*") if path.is_file() and path.suffix != ".pyc"]
    expected |= {str(path.relative_to(ROOT)) for path in demo}
    expected |= {"frdiff_tune/py.typed", "frdiff_tune/policy/policy.schema.json"}
    assert expected <= names
    assert not any(name.startswith(("tests/", "runs/")) for name in names)


READ = """
import frdiff_tune
from frdiff_tune.search import load_study
from frdiff_tune.demo import model_folder, prompts_file
study = load_study("sdxl")
assert "checkout" not in frdiff_tune.__file__
print(study.file.space.name, model_folder("emoji").is_dir(), prompts_file("prompts/search.txt").is_file())
"""


def test_a_bare_name_works_from_the_wheel(wheel: Path, tmp_path: Path) -> None:
    """Unpacked outside the repository, with nothing of the repository on the path."""
    zipfile.ZipFile(wheel).extractall(tmp_path / "site")
    code = f"import sys; sys.path.insert(0, {str(tmp_path / 'site')!r})\n{READ}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["sdxl", "True", "True"]


def test_torch_and_torchvision_come_from_one_resolve() -> None:
    """The project names both, and the torchvision that came with it is the build that this torch belongs to."""
    own = {Requirement(text).name for text in requires("frdiff-tune") or [] if "extra" not in text}
    assert {"torch", "torchvision", "lpips"} <= own
    wanted = next(r for r in map(Requirement, requires("torchvision") or []) if r.name == "torch")
    assert wanted.specifier.contains(version("torch").partition("+")[0], prereleases=True)
    done = subprocess.run([sys.executable, "-c", "import torchvision, lpips"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
