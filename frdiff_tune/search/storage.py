"""The study's database: opened, checked, and put in order after a kill."""

import os
import secrets
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import optuna
from optuna.storages import RDBStorage
from optuna.trial import FrozenTrial, TrialState

from frdiff_tune.errors import StudyError
from frdiff_tune.search.ledger import Ledger
from frdiff_tune.search.objective import directions
from frdiff_tune.search.outcome import POLICY, POLISHED_FROM
from frdiff_tune.search.samplers import quiet
from frdiff_tune.search.study import Study

DEFINITION = "frdiff:definition"
WORKER = "frdiff:worker"
ATTEMPTS = 5
_RUNS: set[str] = set()
"""Names of the runs of this process that are under way."""
KEPT = ("family", "starting", POLICY, POLISHED_FROM)
"""Attributes that a trial which is tried once more takes along."""
AGAIN = "frdiff:again"
"""Attribute of a trial that was broken off and is tried once more."""


def open_storage(url: str, *, create: bool = True) -> RDBStorage:
    """Opens a database by its SQLAlchemy URL; a folder that is missing is made.

    Arguments:
        url: ``sqlite:///runs/study.db`` or ``postgresql://user@host/name``.
        create: Whether an SQLite file that is missing is made.

    Raises:
        StudyError: If it cannot be opened.
    """
    from sqlalchemy.exc import SQLAlchemyError

    file = Path(url.removeprefix("sqlite:///")) if url.startswith("sqlite:///") else None
    try:
        if file is not None:
            if not create and not file.is_file():
                raise StudyError(f"`search.storage` must hold a study but {url!r} is not there. Run `frdiff-tune tune` first.")
            file.parent.mkdir(parents=True, exist_ok=True)
        options: dict[str, Any] = {"connect_args": {"timeout": 60}} if file is not None else {}
        opened = _connect(url.replace("postgresql://", "postgresql+psycopg://", 1), options)
        if file is not None:
            _write_ahead(opened)
        return opened
    except (SQLAlchemyError, OSError, ImportError, RuntimeError) as error:
        raise StudyError(
            f"`search.storage` must be a database that can be opened but got {url!r}: {str(error).splitlines()[0]}. "
            f"{_cure(url)}"
        ) from error


def _connect(url: str, options: dict[str, Any]) -> RDBStorage:
    """Opens the database and makes the tables that are missing; tries again while another worker makes the same ones."""
    from sqlalchemy.exc import IntegrityError, ProgrammingError

    def made() -> RDBStorage:
        opened = RDBStorage(url, engine_kwargs=options)
        Ledger(opened.engine)
        return opened

    for _ in range(ATTEMPTS - 1):
        try:
            return made()
        except (IntegrityError, ProgrammingError):
            time.sleep(0.5)
    return made()


def _write_ahead(opened: RDBStorage) -> None:
    """Lets SQLite commit without waiting for the disk: 0.2 ms instead of 17, a hundred times per trial.

    A killed process loses nothing; after a power cut the newest trials may be missing, the file is whole.
    """
    from sqlalchemy import event

    @event.listens_for(opened.engine, "connect")
    def _pragmas(connection: Any, _: Any) -> None:  # noqa: ANN401
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")

    opened.engine.dispose()  # those that were opened before know nothing of it


def _cure(url: str) -> str:
    if url.startswith("postgresql"):
        return "Install frdiff-tune[postgres], start the server, and check host, name and user."
    return 'Use storage = "sqlite:///runs/study.db" in a folder that you may write to.'


def open_study(study: Study, storage: RDBStorage, more: dict[str, Any] | None = None) -> optuna.Study:
    """Opens Optuna's study, or makes it.

    Arguments:
        study: The question.
        storage: Where it is kept.
        more: What belongs to the definition beside the files: cases and machine.

    Raises:
        StudyError: If the storage holds a study of that name with another definition.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)  # a line per trial is the command line's to print
    opened = optuna.create_study(
        study_name=study.name,
        storage=storage,
        directions=directions(study.file.search.objectives),
        load_if_exists=True,
    )
    kept: dict[str, Any] | None = opened.user_attrs.get(DEFINITION)
    definition = study.definition | (more or {})
    if kept is None:
        with quiet():
            opened.set_metric_names(list(study.file.search.objectives))
        opened.set_user_attr(DEFINITION, definition)
    else:
        check_definition(study, kept, definition)
    return opened


def find_study(study: Study, storage: RDBStorage) -> optuna.Study:
    """Opens a study that was begun, to read it.

    Raises:
        StudyError: If it was never begun, or with another definition.
    """
    try:
        opened = optuna.load_study(study_name=study.name, storage=storage)
    except KeyError:
        raise StudyError(
            f"`search.storage` must hold the study {study.name!r} but {study.file.search.storage!r} does not. "
            f"Run `frdiff-tune tune {study.path}` first."
        ) from None
    kept: dict[str, Any] = opened.user_attrs.get(DEFINITION, {})
    check_definition(study, kept, {**kept, **study.definition})
    return opened


def check_definition(study: Study, kept: dict[str, Any], definition: dict[str, Any]) -> None:
    """Checks that a study is resumed as it was begun.

    Raises:
        StudyError: Naming what differs.
    """
    now = {key: _plain(value) for key, value in definition.items()}
    changed = [key for key in sorted({*now, *kept}) if now.get(key) != kept.get(key) and not _unknown(key, kept, now)]
    if changed:
        listed = ", ".join(f"`{key}` was {kept.get(key)!r} and is {now.get(key)!r}" for key in changed[:3])
        raise StudyError(
            f"`search.storage` must belong to this study, of which only trials and minutes may change, but "
            f"{study.file.search.storage!r} holds {study.name!r} with another definition: {listed}"
            f"{' and more' if len(changed) > 3 else ''}. Put it back, name another storage, or delete the old one."
        )


def _unknown(key: str, kept: dict[str, Any], now: dict[str, Any]) -> bool:
    """Whether a fact of the machine was not known, then or now: that is no difference."""
    return key.startswith("machine.") and (kept.get(key) is None or now.get(key) is None)


def _plain(value: Any) -> Any:  # noqa: ANN401
    """Returns a value as it comes back from JSON."""
    import json

    return json.loads(json.dumps(value))


@contextmanager
def working() -> Iterator[str]:
    """Gives a run of a study a name by which others see whether it is still under way.

    It names the machine, the process (also after its number was given to another one) and the run within it.
    """
    name = f"{socket.gethostname()}/{os.getpid()}/{_started(os.getpid())}/{secrets.token_hex(4)}"
    _RUNS.add(name)
    try:
        yield name
    finally:
        _RUNS.discard(name)


def restore(opened: optuna.Study, worker: str) -> None:
    """Marks trials whose run is gone as failed and puts them first in the queue again, with their attributes.

    A trial of another machine is left alone: whether it still runs cannot be seen from here.

    Arguments:
        opened: The study.
        worker: Name of the run that puts them in order.
    """
    stale = opened.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
    for trial in stale:
        name = str(trial.user_attrs.get(WORKER, ""))
        if not _alive(name):
            opened.tell(trial.number, state=TrialState.FAIL, skip_if_finished=True)
            enqueue_again(opened, trial, worker)


def enqueue_again(opened: optuna.Study, trial: FrozenTrial, worker: str) -> None:
    """Puts a trial that was broken off into the queue; one whose parameters were not all drawn yet is drawn anew."""
    given = trial.system_attrs.get("fixed_params") or {}
    whole = len(trial.params) == len(opened.user_attrs.get("frdiff:parameters", ()))
    attributes = {key: value for key, value in trial.user_attrs.items() if key in KEPT}
    if whole or given:
        opened.enqueue_trial({**given, **trial.params}, {**attributes, WORKER: worker, AGAIN: trial.number})


def _alive(name: str) -> bool:
    """Whether the run of that name may still be under way."""
    host, number, started = (*name.split("/"), "", "")[:3]
    if host != socket.gethostname():
        return bool(host)
    if int(number) == os.getpid() and started == _started(os.getpid()):
        return name in _RUNS
    return _started(int(number)) == started


def _started(number: int) -> str:
    """Returns when a process began, in the kernel's ticks; empty if there is none, "?" where the system does not tell."""
    try:
        state, *fields = Path(f"/proc/{number}/stat").read_text().rsplit(")", 1)[1].split()
        return "" if state == "Z" else fields[18]
    except (OSError, IndexError):
        pass
    try:
        os.kill(number, 0)
    except (OSError, OverflowError):
        return ""
    return "?" if not Path("/proc/self").exists() else ""
