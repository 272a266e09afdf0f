"""``show``, ``generate``, ``profile`` and ``schema``."""

import json
from pathlib import Path

from PIL import Image
from typer.testing import Result

from frdiff_tune.measure import load_profile
from frdiff_tune.policy import json_schema
from tests.cli.conftest import Run
from tests.report.toy import MACHINE, MEASURED, toy_policy

PROMPT = "a fox on a blue background"


def test_show_draws_the_tables_and_states_the_figures(tmp_path: Path, run: Run) -> None:
    path = tmp_path / "policy.json"
    toy_policy("110100", mixing=(1, 1, 0, 1, 0.5, 0)).replace(measured=MEASURED, machine=MACHINE).save(path)
    result = run("show", path)
    assert result.exit_code == 0
    assert "keyframes  ██·█··" in result.stdout and "lam        ██ █▅ " in result.stdout
    assert "2.50x (95 %: 2.40 to 2.60)" in result.stdout


def test_show_json_holds_the_policy(tmp_path: Path, run: Run) -> None:
    policy = toy_policy("1101", mixing=(1, 1, 0, 1)).replace(measured=MEASURED)
    policy.save(tmp_path / "policy.json")
    shown = json.loads(run("show", tmp_path / "policy.json", "--json").stdout)
    assert type(policy).model_validate(shown["policy"]) == policy
    assert shown["nfe"] == 3 and shown["cache_mib"] == 1.5


def test_generate_compares_with_the_reference(
    exported: tuple[Path, Result], study: Path, tmp_path: Path, run: Run
) -> None:
    result = run("generate", exported[0], PROMPT, "--compare", "--study", study, "-o", tmp_path, "--seed", 3, "--json")
    assert result.exit_code == 0, result.output
    (drawn,) = json.loads(result.stdout)["pictures"]
    assert drawn["seed"] == 3 and drawn["time_ms"] > 0 and drawn["reference_ms"] > 0 and drawn["lpips"] >= 0
    names = {"a-fox-on-a-blue-background-seed3.png", "a-fox-on-a-blue-background-seed3-reference.png", "side_by_side.png"}
    assert {path.name for path in tmp_path.iterdir()} == names
    with Image.open(drawn["path"]) as picture:
        assert picture.size == (128, 128)


def test_generate_draws_every_prompt_from_the_same_seed(exported: tuple[Path, Result], tmp_path: Path, run: Run) -> None:
    result = run("generate", exported[0], PROMPT, PROMPT, "-o", tmp_path)
    assert result.exit_code == 0, result.output
    first, second = sorted(tmp_path.iterdir())
    assert first.read_bytes() == second.read_bytes()


def test_profile_lists_sites_and_groups(run: Run) -> None:
    found = json.loads(run("profile", "demo:emoji", "--no-times", "--json").stdout)
    assert {"name", "group", "kind", "module_class"} == set(found["sites"][0]) and found["profile"] is None
    assert any(site["name"].startswith("unet.") for site in found["sites"])
    assert "conv" in run("profile", "demo:emoji", "--no-times").stdout


def test_schema_is_that_of_the_code(run: Run) -> None:
    assert json.loads(run("schema").stdout) == json_schema()


def test_profile_of_a_study_measures_its_groups(study: Path, folder: Path, run: Run) -> None:
    """As the study calls the pipeline; the file, the figure and the JSON are of one profile."""
    tiny, file, figure = folder / "profiled.toml", folder / "profile.json", folder / "changes.png"
    text = study.read_text(encoding="utf-8").replace("demo:emoji", "tests.tiny:tiny_sd")
    tiny.write_text(text.replace("guidance_scale = 1.0", "guidance_scale = 7.5"), encoding="utf-8")
    result = run("profile", tiny, "--steps", 3, "--cases", 1, "--rounds", 1, "-o", file, "--figure", figure, "--json")
    assert result.exit_code == 0, result.output
    found, loaded = json.loads(result.stdout), load_profile(file)
    assert found["model"] == "tests.tiny:tiny_sd" and found["figure"] == str(figure)
    assert set(found["profile"]["groups"]) == set(loaded.groups) == {"conv", "attention", "deep", "shallow", "guidance"}
    assert (loaded.call.T, loaded.call.arguments) == (3, {"guidance_scale": 7.5})
    with Image.open(figure) as picture:
        assert picture.width > 500


def test_profile_of_a_model_is_shown_as_a_table(run: Run) -> None:
    result = run("profile", "tests.tiny:tiny_dit", "--steps", 3, "--cases", 0, "--rounds", 1, "--prompt", "owl")
    assert result.exit_code == 0, result.output
    assert "of its FLOPs" in result.stdout and "A full step takes" in result.stdout
