"""Results as JSON files: everything indented but the rows, which take a line each."""

import json
from pathlib import Path
from typing import Any


def save(result: dict[str, Any], path: Path) -> None:
    """Writes a result.

    Arguments:
        result: JSON values; ``rows`` is a list.
        path: The file.
    """
    head = json.dumps({key: value for key, value in result.items() if key != "rows"}, indent=1).removesuffix("\n}")
    rows = ",\n".join(f"  {json.dumps(row)}" for row in result["rows"])
    path.parent.mkdir(exist_ok=True)
    path.write_text(f'{head},\n "rows": [\n{rows}\n ]\n}}\n')
