import pickle
from pathlib import Path
from typing import Any

import pytest

from frdiff_tune.errors import MeasureError
from frdiff_tune.measure import Case, blocks, call_arguments, cases_digest, load_cases
from tests.tiny import tiny_dit, tiny_sd


@pytest.fixture(scope="module")
def sd() -> Any:  # noqa: ANN401
    return tiny_sd()


@pytest.fixture(scope="module")
def dit() -> Any:  # noqa: ANN401
    return tiny_dit()


def written(folder: Path, text: str, name: str = "cases.txt") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_a_line_is_a_prompt_and_seeds_count_from_the_first(sd: Any, tmp_path: Path) -> None:  # noqa: ANN401
    path = written(tmp_path, "a fox\n\n  an owl  \na bee\n")
    cases = load_cases(sd, path, 2, first_seed=10)
    assert [(case.arguments["prompt"], case.seed) for case in cases] == [("a fox", 10), ("an owl", 11)]
    more = load_cases(sd, path, 2, first_seed=10, seeds=3)
    assert more[:2] == cases
    assert [case.seed for case in more] == [10, 11, 12, 13, 14, 15]
    assert [case.label for case in more[::2]] == ["a fox"] * 3


def test_a_line_is_a_class_by_name_or_id(dit: Any, tmp_path: Path) -> None:  # noqa: ANN401
    owl = dit.labels["owl"]
    cases = load_cases(dit, written(tmp_path, f"fox\n{owl}\n"), 2)
    assert [case.arguments["class_labels"] for case in cases] == [dit.labels["fox"], owl]
    assert [case.label for case in cases] == ["fox", str(owl)]


def test_embedded_files(sd: Any) -> None:  # noqa: ANN401
    search = load_cases(sd, "demo:prompts/search.txt", 32)
    held_out = load_cases(sd, "demo:prompts/held_out.txt", 32)
    assert not {case.label for case in search} & {case.label for case in held_out}


def test_rows_of_call_arguments(sd: Any, dit: Any, tmp_path: Path) -> None:  # noqa: ANN401
    rows = '{"prompt": "a fox", "negative_prompt": "blue", "seed": 7}\n{"prompt": "an owl", "guidance_scale": 3.0}\n'
    first, second = load_cases(sd, written(tmp_path, rows, "cases.jsonl"), 2)
    assert (dict(first.arguments), first.seed) == ({"prompt": "a fox", "negative_prompt": "blue"}, 7)
    assert (dict(second.arguments), second.seed) == ({"prompt": "an owl", "guidance_scale": 3.0}, 1)
    (named,) = load_cases(dit, written(tmp_path, '{"class_labels": ["fox"]}', "classes.jsonl"), 1)
    assert named.arguments["class_labels"] == dit.labels["fox"] and named.label == "fox"


@pytest.mark.parametrize(
    ("text", "count", "named"),
    [
        ("", 1, "is empty"),
        ("\n \n", 1, "is empty"),
        ("a fox\n", 2, "at most the lines .* got 2 for 1"),
        ("a fox\n", 0, "`count` must be at least 1 but got 0"),
    ],
)
def test_bad_text(sd: Any, tmp_path: Path, text: str, count: int, named: str) -> None:  # noqa: ANN401
    with pytest.raises(MeasureError, match=named):
        load_cases(sd, written(tmp_path, text), count)


@pytest.mark.parametrize(
    ("row", "named"),
    [
        ("a fox", "must be a JSON object but got 'a fox'"),
        ("[1]", "must be a JSON object"),
        ('{"promt": "a fox"}', "got 'promt' in .*line 1. Did you mean prompt"),
        ('{"prompt": "a fox", "num_inference_steps": 3}', "got 'num_inference_steps'"),
        ('{"prompt": "a fox", "seed": -1}', "`seed` must be a whole number from 0 on but got -1"),
    ],
)
def test_bad_rows(sd: Any, tmp_path: Path, row: str, named: str) -> None:  # noqa: ANN401
    with pytest.raises(MeasureError, match=named):
        load_cases(sd, written(tmp_path, row, "cases.jsonl"), 1)


def test_bad_sources(sd: Any, dit: Any, tmp_path: Path) -> None:  # noqa: ANN401
    with pytest.raises(MeasureError, match="none.txt"):
        load_cases(sd, tmp_path / "none.txt", 1)
    with pytest.raises(MeasureError, match="searhc"):
        load_cases(sd, "demo:prompts/searhc.txt", 1)
    (tmp_path / "binary.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(MeasureError, match="readable UTF-8"):
        load_cases(sd, tmp_path / "binary.txt", 1)
    with pytest.raises(MeasureError, match="got 'foxx' in .*line 1. Did you mean fox"):
        load_cases(dit, written(tmp_path, "foxx"), 1)
    with pytest.raises(MeasureError, match="got '4321'"):
        load_cases(dit, written(tmp_path, "4321"), 1)


def test_digests() -> None:
    case = Case({"prompt": "a fox", "guidance_scale": 3.0}, 1)
    assert case.digest == Case({"guidance_scale": 3.0, "prompt": "a fox"}, 1, name="renamed").digest
    assert len({case.digest, Case({"prompt": "a fox"}, 1).digest, Case(case.arguments, 2).digest}) == 3
    assert cases_digest([case, Case({}, 0)]) != cases_digest([Case({}, 0), case])
    assert pickle.loads(pickle.dumps(case)) == case


def test_one_call_takes_what_fits_together() -> None:
    plain = [Case({"prompt": name}, seed) for seed, name in enumerate("abc")]
    guided = [Case({"prompt": "d", "guidance_scale": 3.0}, 3), Case({"prompt": "e", "guidance_scale": 3.0}, 4)]
    parts = blocks([plain[0], guided[0], plain[1], guided[1], plain[2]], 2)
    assert parts == (tuple(plain[:2]), (plain[2],), tuple(guided))
    arguments = call_arguments(parts[2])
    assert arguments["prompt"] == ["d", "e"] and arguments["guidance_scale"] == 3.0
    assert [generator.initial_seed() for generator in arguments["generator"]] == [3, 4]
