"""Study and space files: what is wrong is named, with the rule and the cure."""

from pathlib import Path

import pytest

from frdiff_tune.errors import FrdiffError, MeasureError, SpaceError, StudyError
from frdiff_tune.search import Limit, held_out_cases, load_space, load_study, open_pipeline, search_cases, shipped
from frdiff_tune.search.setting import walk_of
from tests.search.recorded import study_at
from tests.tiny import tiny_sd

DEMO = shipped("studies")["demo"].read_text(encoding="utf-8")
SPACE = shipped("search_spaces")["stable-diffusion"].read_text(encoding="utf-8")


@pytest.mark.parametrize("name", sorted(shipped("studies")))
def test_shipped_studies_load_by_bare_name_and_by_path(name: str) -> None:
    study = load_study(name)
    assert study.name == name
    assert load_study(study.path).file == study.file
    assert study.file.search.objectives == ("latency_ms", "lpips")


def test_what_the_studies_of_the_embedded_models_ask() -> None:
    study = load_study("demo")
    assert (study.file.cases.search_count, study.file.cases.held_out_count) == (96, 32)
    assert study.file.call.arguments == {"guidance_scale": 7.5}
    assert study.limits == (Limit("lpips", 0.05),)


def test_how_surely_an_export_is_timed_is_no_part_of_the_question(tmp_path: Path) -> None:
    path = tmp_path / "demo.toml"
    path.write_text(f"{DEMO}\n[measure]\nlatency_interval = 0.01\nlatency_calls = 8\nthroughput_batch = 4\n", encoding="utf-8")
    study = load_study(path)
    assert study.file.measure.latency_interval == 0.01 and study.file.measure.throughput_batch == 4
    assert study.definition == load_study("demo").definition


def test_the_class_of_the_pipeline_is_part_of_the_question_where_it_is_named(tmp_path: Path) -> None:
    path = tmp_path / "demo.toml"
    path.write_text(DEMO.replace("[call]", 'pipeline = "StableDiffusionImg2ImgPipeline"\n[call]'), encoding="utf-8")
    assert load_study(path).definition["model.pipeline"] == "StableDiffusionImg2ImgPipeline"
    assert "model.pipeline" not in load_study("demo").definition, "studies that were begun without it go on"


@pytest.mark.parametrize("name", ["demo-img2img", "demo-inpaint"])
def test_studies_of_pictures_search_and_hold_out_other_pictures(name: str) -> None:
    study = load_study(name)
    pipe = open_pipeline(study)
    searched, held_out = search_cases(study, pipe), held_out_cases(study, pipe)
    assert len(set(searched)) == len(set(held_out)) == 16
    assert not {case.arguments["image"] for case in searched} & {case.arguments["image"] for case in held_out}
    assert len({case.kind for case in (*searched, *held_out)}) == 1
    assert walk_of(study, pipe, searched).T(50) == 40


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("guidance_scale = 7.5", 'image = "fox.png"', "`call` must not hold 'image': it comes from the cases"),
        ("guidance_scale = 7.5", "generator = 1", "`call` must not hold 'generator'"),
        ("trials = 150", "trails = 40", r"`search.trails` is not a known key. Did you mean `trials`\?"),
        ("[cases]", "[casses]", r"`casses` is not a known key. Did you mean `cases`\?|`cases` must be given"),
        ('"lpips"]', '"lpipps"]', r"`search.objectives` must name a figure .* but got 'lpipps'. Did you mean 'lpips'\?"),
        ('"lpips"]', '"fid"]', "`search.objectives` must name a figure that each case has but got 'fid'"),
        ('["latency_ms", "lpips"]', "[]", r"must name one to 3 figures, each once, but got \[\]. Use \['latency"),
        ('["latency_ms", "lpips"]', '["speedup", "latency_ms"]', "must not name both latency_ms and speedup"),
        ('["latency_ms", "lpips"]', '["images_per_s", "latency_ms"]', "must not name both latency_ms and images_per_s"),
        ('"lpips <= 0.05"', '"energy_j >= 5"', r'must bound energy_j on its worse side .* Write "energy_j <= 5"'),
        ('sampler = "auto"', 'sampler = "cmaes"', "sampler must be one for 2 objectives but got 'cmaes', which knows one"),
        ('"lpips <= 0.05"', '"lpips < 0.05"', r'`search.limits` must read "name <= number" or "name >= number" but got'),
        ('"lpips <= 0.05"', '"sim >= 0.5"', r"must name a figure of quality or cost but got 'sim'. Did you mean 'ssim'\?"),
        ('"lpips <= 0.05"', '"psnr <= 30"', r'must bound psnr on its worse side .* Write "psnr >= 30"'),
        ('"lpips <= 0.05"', '"flips <= 1e999"', "must be a number from 0 on but got 1e999"),
        ('sampler = "auto"', 'sampler = "tpee"', r"must name a sampler but got 'tpee'. Did you mean 'tpe'\?"),
        ('capture = ["eager"]', 'capture = ["graphs"]', "`search.capture` must name ways of launching but got 'graphs'"),
        ('capture = ["eager"]', "capture = []", r"`search.capture` must hold at least one way, .* but got \[\]"),
        ("trials = 150", "trials = 0", "`search.trials` is not right: input should be greater than or equal to 1, but got 0"),
        ("trials = 150", 'trials = "80"', "`search.trials` is not right: .*integer, but got '80'"),
        ('source = "demo:emoji"', 'source = " "', "`model.source` must not be empty"),
        ('source = "demo:emoji"', "", "`model.source` must be given but is missing"),
        (
            "[search]",
            "[measure]\nlatency_calls = 7\n[search]",
            "`measure.latency_calls` is not right: .* equal to 8, but got 7",
        ),
        ("[search]", "[search", "must be TOML but"),
    ],
)
def test_a_broken_study_is_explained(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert old in DEMO
    path = tmp_path / "mine.toml"
    path.write_text(DEMO.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(StudyError, match=message) as caught:
        load_study(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("[groups]", "[gruops]", r"`gruops` is not a known key. Did you mean `groups`\?"),
        ("interval = [1, 10]", "intervall = [1, 10]", r"`keyframes.intervall` is not a known key. Did you mean `interval`\?"),
        ("interval = [1, 10]", "interval = [10, 1]", r"`keyframes.interval` must be \[least, greatest\] but got \[10, 1\]"),
        ("interval = [1, 10]", "interval = [0, 1]", "`keyframes.interval.0` is not right: .*, but got 0"),
        ('"uniform", "keyframes"', '"unifrom"', r"must name encodings but got 'unifrom'. Did you mean 'uniform'\?"),
        ('"jump", "none"', '"jmup"', r"must name lam families but got 'jmup'. Did you mean 'jump'\?"),
        ('["trailing", "leading", "linspace"]', '["trialing"]', r"must name spacings but got 'trialing'"),
        ("slope = [5.0, 100.0]", "slope = [5.123, 100.0]", "must have two significant digits but got 5.123. Use 5.1"),
        ("bias = [0.0, 1.0]", "bias = [0.005, 1.0]", "must be a multiple of 0.01 but got 0.005"),
        ("strength = [-0.5, 1.0]", "strength = [-0.52, 1.0]", "must be a multiple of 0.05 but got -0.52. Use -0.5"),
        ("order = [0, 1, 2]", "order = [0, -1]", "`forecast.order.1` is not right"),
        (
            'features = ["hold"]',
            'features = ["hold", "tailor-1"]',
            "`forecast.features` must name forecasts but got 'tailor-1'. Did you",
        ),
        (
            'features = ["hold"]',
            'features = ["hold", "hold"]',
            r"`forecast.features` must not repeat itself but got \['hold', 'hold'",
        ),
        ('"epsilon", "output", "sample"', '"noise"', "`forecast.variable.0` is not right: .*'sample'.*got 'noise'"),
        ('conv = ["unet.*.resnets.*"]', 'score = ["unet.*"]', "`groups` must have names of letters"),
        ('conv = ["unet.*.resnets.*"]', "conv = []", "`groups.conv` must hold at least one entry"),
    ],
)
def test_a_broken_space_is_explained(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert old in SPACE
    path = tmp_path / "mine.toml"
    path.write_text(SPACE.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(SpaceError, match=message):
        load_space(path)


def test_unknown_names_list_the_shipped_ones(tmp_path: Path) -> None:
    listed = r"demo, demo-dit, demo-img2img, demo-inpaint, demo-quick, sdxl, stable-diffusion. Did you mean 'demo'\?"
    with pytest.raises(StudyError, match=listed):
        load_study("dmeo")
    with pytest.raises(SpaceError, match="dit, flux, pixart, sdxl, stable-diffusion, transformer"):
        load_space("nowhere")
    path = tmp_path / "mine.toml"
    path.write_text(DEMO.replace('name = "stable-diffusion"', 'name = "stabel-diffusion"'), encoding="utf-8")
    with pytest.raises(SpaceError, match=r"Did you mean 'stable-diffusion'\?"):
        load_study(path)
    with pytest.raises(StudyError, match="shipped studies"):
        load_study(tmp_path / "demo.toml")


def test_a_space_beside_the_study_is_found(tmp_path: Path) -> None:
    (tmp_path / "own.toml").write_text(SPACE.replace("interval = [1, 10]", "interval = [2, 3]"), encoding="utf-8")
    (tmp_path / "mine.toml").write_text(DEMO.replace('name = "stable-diffusion"', 'name = "own.toml"'), encoding="utf-8")
    assert load_study(tmp_path / "mine.toml").space.keyframes.interval == (2, 3)


def test_an_empty_prompt_file_and_too_few_prompts_are_explained(tmp_path: Path) -> None:
    prompts = tmp_path / "prompts.txt"
    for text, message in (("\n\n", "empty"), ("a fox\n", "lower the count")):
        prompts.write_text(text, encoding="utf-8")
        path = tmp_path / "mine.toml"
        path.write_text(DEMO.replace("demo:prompts/search.txt", str(prompts)), encoding="utf-8")
        with pytest.raises(MeasureError, match=message):
            search_cases(load_study(path), tiny_sd())


def test_budget_storage_and_held_out_cases_are_no_part_of_the_definition(tmp_path: Path) -> None:
    one = study_at(tmp_path, trials=5)
    two = study_at(tmp_path / "elsewhere", trials=9)
    assert one.definition == two.definition
    assert one.definition != study_at(tmp_path, seed=1).definition


def test_every_mistake_is_one_of_ours() -> None:
    assert issubclass(StudyError, FrdiffError)
    with pytest.raises(StudyError, match="readable text file"):
        load_study(Path(__file__).parent.parent / "data" / "lpips_reference.safetensors")
