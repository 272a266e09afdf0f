"""Img2img and inpainting on a tiny pipeline: ``tune``, ``export``, ``check`` and ``generate``, with one's own pictures."""

import json
from pathlib import Path

import pytest
from PIL import Image
from typer.testing import Result

from frdiff_tune.policy import Policy
from tests.cli.conftest import Run

STUDY = """
[model]
source = "tests.tiny:tiny_sd"
pipeline = "{pipeline}"
[call]
num_inference_steps = 8
strength = 0.75
[cases]
search = "{folder}/search.jsonl"
held_out = "{folder}/held_out.jsonl"
search_count = 2
held_out_count = 2
[space]
name = "stable-diffusion"
[search]
trials = 2
storage = "sqlite:///{folder}/study.db"
[measure]
latency_calls = 8
"""
TASKS = {"StableDiffusionImg2ImgPipeline": ("image",), "StableDiffusionInpaintPipeline": ("image", "mask_image")}


def written(folder: Path, pipeline: str) -> Path:
    """Writes a study with its cases and their pictures."""
    for number in range(4):
        Image.new("RGB", (32, 32), (60 * number, 120, 200)).save(folder / f"image{number}.png")
        Image.new("L", (32, 32)).save(folder / f"mask_image{number}.png")
        with Image.open(folder / f"mask_image{number}.png") as mask:
            mask.paste(255, (0, 0, 8 + 4 * number, 32))
            mask.save(folder / f"mask_image{number}.png")
    for name, numbers in (("search", (0, 1)), ("held_out", (2, 3))):
        rows = [{"prompt": "a fox", **{key: f"{key}{n}.png" for key in TASKS[pipeline]}} for n in numbers]
        (folder / f"{name}.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    path = folder / "mine.toml"
    path.write_text(STUDY.format(pipeline=pipeline, folder=folder), encoding="utf-8")
    return path


@pytest.fixture(scope="module", params=list(TASKS))
def done(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, folder: Path, run: Run
) -> tuple[Path, Result]:
    """A study's file beside its exported policy, and what ``export`` said."""
    place = tmp_path_factory.mktemp("images")
    study = written(place, request.param)
    tuned = run("tune", study)
    assert tuned.exit_code == 0, tuned.output
    return study, run("export", study, "--pick", "trial:1", "-o", place / "policy.json", "--side-by-side", place / "pairs.png")


def test_what_is_exported_is_checked(done: tuple[Path, Result], run: Run) -> None:
    study, exported = done
    assert exported.exit_code == 0, exported.output
    policy = Policy.load(study.with_name("policy.json"))
    assert policy.model.pipeline in TASKS and policy.sampling.num_inference_steps * 3 // 4 == policy.T
    assert "image=image" in exported.stdout and "strength=0.75" in exported.stdout
    result = run("check", study.with_name("policy.json"), "--study", study, "--json")
    found = json.loads(result.stdout)
    assert result.exit_code == found["exit_code"] and result.exit_code in (0, 4), "times of milliseconds may part"
    quality = {row["name"]: row for row in found["figures"] if row["name"] != "speedup"}
    assert found["same_cases"] and quality and all(row["holds"] for row in quality.values())


def test_generate_takes_pictures(done: tuple[Path, Result], tmp_path: Path, run: Run) -> None:
    study, _ = done
    policy, names = study.with_name("policy.json"), TASKS[Policy.load(study.with_name("policy.json")).model.pipeline]
    options = [part for name in names for part in (f"--{name.partition('_')[0]}", study.with_name(f"{name}3.png"))]
    result = run("generate", policy, "a fox", *options, "--study", study, "-o", tmp_path, "--json")
    assert result.exit_code == 0, result.output
    with Image.open(json.loads(result.stdout)["pictures"][0]["path"]) as picture:
        assert picture.size == (32, 32)
    without = run("generate", policy, "a fox", "--study", study)
    cure = " ".join(f"{option} picture.png" for option in options[::2])
    assert without.exit_code == 2 and f"Add {cure}." in without.stderr
    wrong = run("generate", policy, "a fox", *options, "--control", options[1], "--study", study)
    assert wrong.exit_code == 2 and "--control must be left out" in wrong.stderr


def test_without_its_study_a_policy_loads_its_own_class(done: tuple[Path, Result], tmp_path: Path, run: Run) -> None:
    study, _ = done
    policy = Policy.load(study.with_name("policy.json"))
    policy.replace(provenance=None).save(tmp_path / "policy.json")
    result = run("generate", tmp_path / "policy.json", "a fox")
    assert result.exit_code == 2 and f"--image must name a picture for {policy.model.pipeline}" in result.stderr
