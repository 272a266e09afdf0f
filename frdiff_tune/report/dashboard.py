"""Optuna's dashboard of a study: notes in words, pictures and schedules of the trials worth a look, the front as a figure."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Generator, Iterator, Sequence
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from socketserver import ThreadingMixIn
from typing import TYPE_CHECKING, Any
from uuid import uuid4
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from frdiff_tune.errors import StudyError
from frdiff_tune.report.points import family_of, points_of, true_family
from frdiff_tune.report.summary import digits, found, thinned
from frdiff_tune.report.words import describe, figure_name, launched, network_calls

if TYPE_CHECKING:
    import optuna
    from optuna.artifacts import FileSystemArtifactStore

    from frdiff_tune.report.plate import Plate
    from frdiff_tune.report.side_by_side import Pair
    from frdiff_tune.search import Front, Point, Study

FIGURE = "front"
MOST = 12
"""Trials with pictures, at most, unless more are asked for."""
ARTIFACTS = "dashboard:artifacts:"
"""With a trial's id and the artifact's: attribute of a study in which the dashboard looks for artifacts of a trial."""
NOTED = "frdiff:noted"
"""Attribute of a study: trial -> mark of the note that was written, so that one that is there or was changed is left alone."""


def worth_a_look(measured: Front, count: int = MOST) -> list[Point]:
    """Returns the front, and what no policy of it surely beats in time as well as in likeness: at most so many, evenly spread.

    Arguments:
        measured: What a study has measured.
        count: How many at most.
    """
    best = measured.best

    def beaten(point: Point) -> bool:
        return any(
            other.trial.latency_ms.high < point.trial.latency_ms.low and other.trial.lpips.high < point.trial.lpips.low
            for other in best
        )

    near = [point for point in measured.points if point.on_front or not (point.trial.known or beaten(point))]
    return thinned(sorted(near, key=lambda point: point.trial.latency_ms.value), count)


def annotate(study: Study) -> None:
    """Writes into a study's database what its dashboard shows of every trial: names of objectives, notes, the front's figure.

    Arguments:
        study: The study.

    Raises:
        StudyError: If nothing was measured yet.
    """
    from frdiff_tune.search import front
    from frdiff_tune.search.samplers import quiet

    measured, opened = front(study), _opened(study)
    with quiet():
        opened.set_metric_names([figure_name(name) for name in measured.objectives])
    _note(study, opened, measured)
    _plot(study, opened, measured)


def illustrate(
    study: Study,
    *,
    trials: Sequence[int] = (),
    pictures: int = 4,
    artifacts: Path | None = None,
    pipe: Any = None,  # noqa: ANN401 - a diffusers pipeline
) -> Generator[tuple[int, int], None, int]:
    """Adds pictures and schedules to the trials that are worth a look; yields what is done and what there is to do.

    Returns how many trials have them. What a trial has it keeps, so that a second start takes a moment.

    Arguments:
        study: The study.
        trials: Numbers of further trials that get pictures.
        pictures: Held-out pictures of each; 0: none but the schedule, so that the model need not be loaded.
        artifacts: Folder of pictures and schedules; None: beside the database.
        pipe: The study's pipeline, if it is loaded already.

    Raises:
        StudyError: If nothing was measured yet, a trial does not exist, or the folder cannot be written.
    """
    from frdiff_tune.report.plates import pictures_plate, schedule_plate
    from frdiff_tune.search import Pick, front, pick

    measured, opened = front(study), _opened(study)
    asked = [pick(measured, Pick(trial=number)) for number in dict.fromkeys(trials)]
    look = {point.trial.number: point for point in [*worth_a_look(measured), *asked]}
    store, ids, has = _store(study, artifacts), _ids(opened), _artifacts(opened)
    wanted = {"schedule"} | ({"pictures"} if pictures else set())
    missing = [point for number, point in look.items() if not wanted <= has[ids[number]]]
    for count, (point, pairs) in enumerate(_drawn(study, missing, measured.reference.median_ms, pictures, pipe), start=1):
        plates = [*([pictures_plate(study, point, pairs)] if pairs else []), schedule_plate(point)]
        own = has[ids[point.trial.number]]
        _add(opened, ids[point.trial.number], store, [plate for plate in plates if plate.name.partition("-")[0] not in own])
        yield count, len(missing)
    return len({trial for trial, own in has.items() if own} | {ids[point.trial.number] for point in missing})


def _opened(study: Study) -> optuna.Study:
    from frdiff_tune.search import storage

    return storage.find_study(study, storage.open_storage(study.file.search.storage, create=False))


def _ids(opened: optuna.Study) -> dict[int, int]:
    """Returns the database's id of every trial by its number."""
    return {trial.number: trial._trial_id for trial in opened.get_trials(deepcopy=False)}


def artifact_folder(study: Study, given: Path | None = None) -> Path:
    """Returns where pictures and schedules of a study are kept.

    Arguments:
        study: The study.
        given: The folder, if it is given; None: beside the database, or in the cache where that is no file.
    """
    from frdiff_tune.search import cache_folder

    url = study.file.search.storage
    if given is not None:
        return given
    if url.startswith("sqlite:///"):
        return Path(url.removeprefix("sqlite:///")).parent / "artifacts"
    return cache_folder() / "artifacts" / study.name


def _store(study: Study, given: Path | None) -> FileSystemArtifactStore:
    from optuna.artifacts import FileSystemArtifactStore

    folder = artifact_folder(study, given)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StudyError(f"`{folder}` could not be made: {error}. Name another folder with --artifacts.") from error
    return FileSystemArtifactStore(folder)


def _note(study: Study, opened: optuna.Study, measured: Front) -> None:
    """Writes a note for the study and one for every trial that was measured; one that a person has changed is left alone."""
    from optuna.trial import Trial
    from optuna_dashboard import get_note, save_note

    ids, keep = _ids(opened), opened._storage
    noted: dict[str, str] = dict(keep.get_study_system_attrs(opened._study_id).get(NOTED, {}))
    wanted: dict[str, tuple[Any, str]] = {"study": (opened, study_note(study, measured))}
    wanted |= {str(p.trial.number): (Trial(opened, ids[p.trial.number]), trial_note(p)) for p in measured.points}
    for name, (place, text) in wanted.items():
        before = noted.get(name, _mark(""))
        if before != _mark(text) and _mark(get_note(place)) == before:
            save_note(place, text)
            noted[name] = _mark(text)
    keep.set_study_system_attr(opened._study_id, NOTED, noted)


def _mark(text: str) -> str:
    """Returns a few characters by which a text is known again."""
    return sha256(text.encode()).hexdigest()[:12]


def study_note(study: Study, measured: Front) -> str:
    """Returns what stands beside the study, as Markdown."""
    points = points_of(measured)
    lines = [f"## {study.name}", "", *found(points, measured.reference.median_ms, measured.failures, measured.stopped)]
    model, call = study.file.model.source, study.file.call
    lines += [f"Model `{model}`, reference {call.num_inference_steps} steps, {measured.reference.median_ms:,.0f} ms per call."]
    lines += ["Trials with pictures and schedules: see *Artifacts* of each trial on the front. Below: time against likeness."]
    return "\n\n".join(line for line in lines if line)


def trial_note(point: Point) -> str:
    """Returns what stands beside a trial, as Markdown: how fast, how close, and what its policy does."""
    trial = point.trial
    family = true_family(family_of(trial), point.policy)
    speed = f"{trial.speedup.value:.2f} times faster ({trial.speedup.low:.2f} to {trial.speedup.high:.2f})"
    close = f"LPIPS {digits(trial.lpips.value)} ({digits(trial.lpips.low)} to {digits(trial.lpips.high)})"
    place = "on the front" if point.on_front else "not on the front"
    limits = "" if point.within_limits else " It breaks the study's limits."
    return (
        f"**{speed}, {close}**\n\n{describe(point.policy)}{launched(trial.capture)}.\n\n"
        f"{network_calls(trial.nfe)}; {family}; {place}.{limits} In brackets: 95 % intervals, {trial.count} pictures."
    )


def _plot(study: Study, opened: optuna.Study, measured: Front) -> None:
    from optuna_dashboard import save_plotly_graph_object

    from frdiff_tune.report.front_plot import front_plot

    figure = front_plot(
        points_of(measured),
        reference_ms=measured.reference.median_ms,
        limits=[limit.bound for limit in study.limits if limit.name == "lpips"],
        floor_lpips=measured.floor.value if measured.floor else None,
    )
    save_plotly_graph_object(opened, figure, graph_object_id=FIGURE)


def _artifacts(opened: optuna.Study) -> defaultdict[int, set[str]]:
    """Returns what each trial has by its id, as ``schedule`` and ``pictures``."""
    has: defaultdict[int, set[str]] = defaultdict(set)
    for key, value in opened._storage.get_study_system_attrs(opened._study_id).items():
        if key.startswith(ARTIFACTS):
            trial = int(key.removeprefix(ARTIFACTS).partition(":")[0])
            has[trial].add(json.loads(value)["filename"].partition("-")[0])
    return has


def _drawn(
    study: Study,
    points: Sequence[Point],
    reference_ms: float,
    pictures: int,
    pipe: Any,  # noqa: ANN401
) -> Iterator[tuple[Point, list[Pair]]]:
    """Yields each policy with its pictures; the model is loaded only if some are missing."""
    from frdiff_tune.report.pictured import pictured
    from frdiff_tune.search import open_pipeline

    if points and pictures:
        yield from pictured(study, points, reference_ms, pictures, open_pipeline(study) if pipe is None else pipe)
    else:
        yield from ((point, []) for point in points)


def _add(opened: optuna.Study, trial_id: int, store: FileSystemArtifactStore, plates: Sequence[Plate]) -> None:
    """Adds figures to a trial. Optuna adds none to one that has ended, so they go where the dashboard looks for them first."""
    for plate in plates:
        name = str(uuid4())
        store.write(name, BytesIO(plate.drawn("png")))
        about = {"artifact_id": name, "filename": f"{plate.name}.png", "mimetype": "image/png", "encoding": None}
        opened._storage.set_study_system_attr(opened._study_id, f"{ARTIFACTS}{trial_id}:{name}", json.dumps(about))


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _Handler(WSGIRequestHandler):
    def log_message(self, *_: Any) -> None:  # noqa: ANN401
        """Says nothing of every request."""


def serving(study: Study, host: str, port: int, artifacts: Path | None = None) -> tuple[WSGIServer, str]:
    """Returns a server of the dashboard, not yet serving, and the address at which the study is seen.

    Arguments:
        study: The study.
        host: Address that it listens on; ``127.0.0.1`` is seen from this machine alone.
        port: Port; 0: any that is free.
        artifacts: As for ``illustrate``.

    Raises:
        StudyError: If it cannot listen there.
    """
    from optuna_dashboard import wsgi

    from frdiff_tune.search import storage

    database = storage.open_storage(study.file.search.storage, create=False)
    opened = storage.find_study(study, database)
    app = wsgi(database, artifact_store=_store(study, artifacts))
    try:
        server = make_server(host, port, app, server_class=_Server, handler_class=_Handler)
    except OSError as error:
        raise StudyError(
            f"`--port` must be free on {host} but {port} cannot be used: {error}. Name another one, or --port 0 for any."
        ) from error
    return server, f"http://{host}:{server.server_port}/dashboard/studies/{opened._study_id}"
