"""A study: its file and its space, read and checked."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from frdiff_tune.errors import SpaceError, StudyError
from frdiff_tune.search.limit import Limit
from frdiff_tune.search.location import find
from frdiff_tune.search.space_file import SpaceFile
from frdiff_tune.search.study_file import StudyFile
from frdiff_tune.search.toml_file import read_toml

LATER = (
    ("forecast", "features"),
    ("forecast", "fit"),
    ("forecast", "fit_grid"),
    ("forecast", "fit_parts"),
    ("forecast", "strength_grid"),
    ("keyframes", "count_grid"),
    ("keyframes", "every"),
    ("keyframes", "exponent"),
    ("keyframes", "exponent_grid"),
    ("keyframes", "last"),
    ("keyframes", "last_grid"),
    ("steps", "grid"),
)
"""Keys of a space that came later: studies that were begun before do not hold them, so at their default they are left out."""
BUDGET = ("search.trials", "search.minutes")
"""What a resumed study may change: how long it goes on."""
ELSEWHERE = (
    "search.storage",
    "search.race",
    "cases.held_out",
    "cases.held_out_count",
    "model.extensions",
    "space.name",
    "measure.latency_interval",
    "measure.latency_calls",
    "measure.throughput_batch",
    "measure.metrics",
    "measure.finalists",
    "measure.floor_count",
    "measure.search_floor_count",
    "measure.weights",
    "measure.unpaired",
)
"""What is no part of the question that trials answer: where they are kept, who is stopped, and what an export measures."""


@dataclass(frozen=True, slots=True)
class Study:
    """One question with all that it names.

    Arguments:
        name: The file's name without its ending; Optuna's study has the same.
        path: The study file.
        file: What it holds.
        space: What its space file holds.
    """

    name: str
    path: Path
    file: StudyFile
    space: SpaceFile

    @property
    def limits(self) -> tuple[Limit, ...]:
        """The study's limits."""
        return tuple(Limit.parse(text) for text in self.file.search.limits)

    def with_weights(self, folder: str) -> "Study":
        """Returns the study with another folder in which the weights of metrics are looked for first; empty: as it is.

        Arguments:
            folder: Its path.
        """
        if not folder:
            return self
        measure = self.file.measure.model_copy(update={"weights": folder})
        return replace(self, file=self.file.model_copy(update={"measure": measure}))

    @property
    def definition(self) -> dict[str, Any]:
        """The question as flat ``table.key`` -> value, without its budget; trials of one definition compare."""
        space = self.space.model_dump(mode="json")
        for table, key in LATER:
            if getattr(getattr(self.space, table), key) == type(getattr(self.space, table)).model_fields[key].default:
                del space[table][key]
        tables = {**self.file.model_dump(mode="json"), "space_file": space}
        if not self.file.model.pipeline:
            del tables["model"]["pipeline"]  # as above
        if self.file.search.starting_points is None:
            del tables["search"]["starting_points"]  # as above
        flat = {f"{table}.{key}": value for table, keys in tables.items() for key, value in keys.items()}
        return {key: value for key, value in flat.items() if key not in (*BUDGET, *ELSEWHERE)}


def load_study(path: str | Path) -> Study:
    """Reads a study file and the space file that it names.

    Arguments:
        path: Path of a study file, or the bare name of a shipped one, as ``demo``.

    Raises:
        StudyError: If the study cannot be read or breaks a rule.
        SpaceError: If its space cannot be read or breaks a rule.
    """
    place = find(path, "studies", StudyError)
    file = read_toml(place, StudyFile, StudyError)
    beside = place.parent / file.space.name
    return Study(name=place.stem, path=place, file=file, space=load_space(beside if beside.is_file() else file.space.name))


def load_space(name: str | Path) -> SpaceFile:
    """Reads a space file.

    Arguments:
        name: Path of a space file, or the bare name of a shipped one, as ``sdxl``.

    Raises:
        SpaceError: If it cannot be read or breaks a rule.
    """
    return read_toml(find(name, "search_spaces", SpaceError), SpaceFile, SpaceError)
