"""Applying a policy loads nothing of the search, the metrics or the figures."""

import subprocess
import sys
from pathlib import Path

HEAVY = ("optuna", "sqlalchemy", "lpips", "matplotlib", "plotly", "torchmetrics")

APPLY = f"""
import sys
import frdiff_tune
assert "torch" not in sys.modules, "the package itself must be light"
from tests.tiny import tiny_sd
pipe = tiny_sd()
before = set(sys.modules)
frdiff_tune.frdiff_policy(pipe, 4, 2).save(sys.argv[1])
with frdiff_tune.apply_policy(pipe, sys.argv[1]) as applied:
    applied("a fox")
print([name for name in {HEAVY!r} if name in sys.modules])
"""


def test_import_and_apply_stay_light(tmp_path: Path) -> None:
    command = [sys.executable, "-c", APPLY, str(tmp_path / "policy.json")]
    done = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parents[1])
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[]"


def test_unknown_names_are_refused() -> None:
    import frdiff_tune

    assert all(hasattr(frdiff_tune, name) for name in frdiff_tune.__all__)
    assert not hasattr(frdiff_tune, "aply_policy")
