"""Recorded tables: measured for real on a tiny pipeline, broken off and resumed, saved, loaded and searched."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from frdiff_tune.errors import StudyError
from frdiff_tune.measure import Failure, Measurement
from frdiff_tune.search import Recorder, Space, Study, Table, TableEvaluator, TrialOutcome, tune
from frdiff_tune.search.designed import designed, whole
from frdiff_tune.search.distributions import values_of
from frdiff_tune.search.table import Row
from tests.search.recorded import study_at
from tests.tiny import tiny_dit

STEPS = 6


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FRDIFF_TUNE_CACHE", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def pipe() -> Any:
    return tiny_dit("v_prediction")


def finite(folder: Path) -> Study:
    """Returns a study of six steps whose space holds a few dozen policies."""
    study = study_at(folder, "demo-dit", trials=12, limits=(), sampler="random")
    space = study.space.model_copy(
        update={
            "groups": {"attention": ("attention",)},
            "keyframes": study.space.keyframes.model_copy(update={"encodings": ("uniform",), "interval": (1, 4)}),
            "steps": study.space.steps.model_copy(
                update={"num_inference_steps": (5, 6), "scheduler": ("DDIMScheduler",), "spacing": ("trailing",)}
            ),
            "mixing": study.space.mixing.model_copy(update={"families": ("jump", "none")}),
            "forecast": study.space.forecast.model_copy(
                update={"order": (0, 1), "strength": (1.0, 1.0), "variable": ("epsilon",), "features": ("hold",)}
            ),
        }
    )
    call = study.file.call.model_copy(update={"num_inference_steps": STEPS})
    return replace(study, space=space, file=study.file.model_copy(update={"call": call}))


def kept_at(study: Study, database: Path) -> Study:
    """Returns the study with another database."""
    search = study.file.search.model_copy(update={"storage": f"sqlite:///{database}"})
    return replace(study, file=study.file.model_copy(update={"search": search}))


def test_a_finite_space_is_enumerated_each_policy_once(tmp_path: Path, pipe: Any) -> None:
    """Steps 5 or 6: full; jumps at 2, 3 and 4, held or extrapolated; reuse of attention there.

    One of them is another one: the jump at 4 in 5 steps has nothing to extrapolate from.
    """
    study = finite(tmp_path)
    space = Space(study.space, pipe, STEPS)
    found = list(designed(space))
    digests = {policy.digest for _, policy in found}
    assert whole(space) and len(digests) == len(found) and all(space.decode(params) == policy for params, policy in found)
    assert len(found) == 2 * (1 + 3 + 3 + 3) - 1
    assert [policy.digest for _, policy in designed(space)] == [policy.digest for _, policy in found]
    assert len(list(designed(space, 5))) == 5


def test_an_infinite_space_is_filled_from_its_starting_points_on(tmp_path: Path, pipe: Any) -> None:
    space = Space(study_at(tmp_path, "demo-dit").space, pipe, 50)
    assert not whole(space) and values_of(space.distributions["mixing.slope"]) is None
    found = list(designed(space, 60))
    assert len({policy.digest for _, policy in found}) == 60 and all(space.holds(params) for params, _ in found)
    assert min(found[0][1].mixing) == 1.0 and not found[0][1].masks  # the full policy is the first starting point


def test_a_recording_goes_on_and_its_table_is_searched(tmp_path: Path, pipe: Any) -> None:
    study = finite(tmp_path)
    recorder = Recorder(study, pipe=pipe, pairs=1)
    run = recorder.pictures()
    assert next(run) == (1, 19)
    run.close()
    kept = [dict(recorder.ledger.blocks(policy.digest, recorder._pictures)) for _, policy in recorder.designed]
    assert len(kept[0]) == 1 and not any(kept[1:])
    begun = recorder.table()
    assert len(begun.rows) == 1 and not begun.timed and not begun.whole and not begun.machine

    again = Recorder(study, pipe=pipe, pairs=1)
    assert list(again.pictures())[-1] == (19, 19) and list(again.times())[-1] == (19, 19)
    assert recorder.ledger.blocks(recorder.designed[0][1].digest, recorder._pictures) == kept[0]
    table = again.table()
    table.save(tmp_path / "table.json.gz")
    assert Table.load(tmp_path / "table.json.gz") == table and table.whole and len(table.rows) == 19
    assert table.timed and table.rows[0].lpips == begun.rows[0].lpips
    full = table.by_digest[Space(study.space, pipe, STEPS).full(6, "DDIMScheduler/trailing").digest]
    assert len(full.ratios) == 1 and len(full.lpips) == len(table.cases) == 4

    on = Recorder(kept_at(study, tmp_path / "elsewhere.db"), pipe=pipe, pairs=1, begun=table)
    assert on.table() == table, "a table that was begun on a machine of this kind is taken over whole"
    other = replace(table, machine={**table.machine, "device": "another card"})
    on_other = Recorder(kept_at(study, tmp_path / "other.db"), pipe=pipe, pairs=1, begun=other)
    assert [row.lpips for row in on_other.table().rows] == [row.lpips for row in table.rows]
    assert not on_other.table().timed and not any(row.ratios for row in on_other.table().rows)
    with pytest.raises(StudyError, match="must be a table of this very study but holds one of 'demo-dit' with another"):
        Recorder(study, pipe=pipe, pairs=1, begun=replace(table, definition={}))

    evaluator = TableEvaluator(table, block=2)
    unraced = study.file.search.model_copy(update={"race": 0.0})  # times are real ones: who is stopped is not known
    searched = replace(study, file=study.file.model_copy(update={"search": unraced}))
    found = [event for event in tune(searched, pipe=pipe, evaluator=evaluator) if isinstance(event, TrialOutcome)]
    assert len({outcome.digest for outcome in found}) == 12 and evaluator.seconds > 0
    row = table.by_digest[found[5].digest]
    assert found[5].lpips.value == pytest.approx(sum(row.lpips) / 4) and found[5].nfe == row.nfe

    wanted = study.file.search.model_copy(update={"objectives": ("lpips", "peak_mib"), "storage": f"sqlite:///{tmp_path}/peak.db"})
    memory = replace(study, file=study.file.model_copy(update={"search": wanted}))
    with pytest.raises(StudyError, match="must name what is measured but got 'peak_mib'.* a recorded table holds LPIPS"):
        list(tune(memory, pipe=pipe, evaluator=TableEvaluator(table)))


def test_what_was_drawn_elsewhere_is_no_part_of_a_table(tmp_path: Path, pipe: Any) -> None:
    row = Row("a" * 64, {"x": 1}, 3, 100, (0.25, 0.5, 0.75), (0.5, 0.7))
    table = Table("toy", {}, {}, False, ("c1", "c2", "c3"), 10.0, 100.0, (row, Row("b" * 64, {"x": 2}, 3, 0, (), (), "black")))
    evaluator = TableEvaluator(table, block=2)

    class Named:
        digest = "a" * 64

    blocks = list(evaluator(Named()))  # type: ignore[arg-type]
    assert [block.values["lpips"] for block in blocks if isinstance(block, Measurement)] == [(0.25, 0.5), (0.75,)]
    assert evaluator.seconds == pytest.approx((3 * 6.0 + 5.0 + 7.0 + 20.0) / 1000)  # pictures; two pairs of it and the anchor
    Named.digest = "b" * 64
    (failure,) = evaluator(Named())  # type: ignore[arg-type]
    assert isinstance(failure, Failure) and failure.reason == "black"
    Named.digest = "c" * 64
    with pytest.raises(StudyError, match="must be one of the table's 2 but got cccccccccccc, eager"):
        list(evaluator(Named()))  # type: ignore[arg-type]


def test_files_that_are_no_tables_are_explained(tmp_path: Path) -> None:
    path = tmp_path / "table.json.gz"
    with pytest.raises(StudyError, match="must be a recorded table but got .* Write one with `frdiff-tune record"):
        Table.load(path)
    path.write_text("{}")
    with pytest.raises(StudyError, match="must be a recorded table"):
        Table.load(path)
    Table("toy", {}, {}, True, ("c",), 1.0, 1.0, (Row("a" * 64, {}, 1, 0, (0.0,), (1.0,)),)).save(path)
    assert Table.load(path).rows[0].digest == "a" * 64
    import frdiff_tune.search.table as module

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "VERSION", 2)
        with pytest.raises(StudyError, match="must be 2 but .* has 1"):
            Table.load(path)


def test_a_space_without_an_end_needs_a_number(tmp_path: Path, pipe: Any) -> None:
    with pytest.raises(StudyError, match="`policies` must be given for a space that cannot be enumerated"):
        Recorder(study_at(tmp_path, "demo-dit"), pipe=pipe)
