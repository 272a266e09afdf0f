"""Results as JSON files: everything indented but the rows, which take a line each."""

import argparse
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from frdiff_tune.search.setting import machine_of
from frdiff_tune.search.study import Study, load_study

RESULTS = Path(__file__).parent / "results"


def heading(study: Study, pipe: Any, command: str, pictures: int) -> dict[str, Any]:  # noqa: ANN401
    """Returns what every result begins with: of what, when, how and where it was measured.

    Arguments:
        study: The study.
        pipe: Its pipeline.
        command: The command that measures it again.
        pictures: How many pictures every policy drew.
    """
    return {
        "study": study.name,
        "made": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": command,
        "machine": machine_of(study, pipe).model_dump(mode="json"),
        "pictures": pictures,
    }


def save(result: dict[str, Any], name: str, folder: Path | None = None) -> Path:
    """Writes a result and returns where.

    Arguments:
        result: JSON values; ``rows`` is a list.
        name: Of the file, without its ending.
        folder: Where; None: with the committed ones.
    """
    head = json.dumps({key: value for key, value in result.items() if key != "rows"}, indent=1).removesuffix("\n}")
    rows = ",\n".join(f"  {json.dumps(row)}" for row in result["rows"])
    folder = folder or RESULTS
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.json"
    path.write_text(f'{head},\n "rows": [\n{rows}\n ]\n}}\n')
    return path


def shown(rows: Iterator[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Prints each row as it is measured."""
    for row in rows:
        print(*(f"{name} {value}" for name, value in row.items()), sep="  ", flush=True)
        yield row


def run(
    doc: str | None,
    kind: str,
    measure: Callable[[Study], dict[str, Any]],
    show: Callable[[dict[str, Any], Path], None] | None = None,
) -> None:
    """Measures the studies that the command line names, and writes JSON.

    Arguments:
        doc: What ``--help`` says.
        kind: What the names of the files begin with.
        measure: Returns the result of a study.
        show: Shows it, given its file.
    """
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("studies", nargs="+", help="bare names or paths; they need not have been tuned")
    for name in parser.parse_args().studies:
        result = measure(load_study(name))
        path = save(result, f"{kind}-{result['study']}")
        if show:
            show(result, path)
