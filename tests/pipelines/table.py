"""The README's table of pipelines, made from the rows that the conformance case runs over.

python -m tests.pipelines.table
"""

from pathlib import Path

from frdiff_tune.runtime import default_groups, find_denoisers
from tests.pipelines import ROWS

README = Path(__file__).parent.parent.parent / "README.md"
BEGIN, END = "<!-- pipelines:begin -->", "<!-- pipelines:end -->"


def table() -> str:
    """Returns the table in Markdown: what it is, its pipeline and network classes, what can be reused."""
    lines = ["| what | pipeline | network | groups |", "|---|---|---|---|"]
    for name, row in ROWS.items():
        pipe = row.make()
        networks = ", ".join(dict.fromkeys(f"`{type(d.module).__name__}`" for d in find_denoisers(pipe)))
        groups = [group for group in default_groups(pipe) if group != "guidance" or row.guidance != "none"]
        lines.append(f"| {name} | `{type(pipe).__name__}` | {networks} | {', '.join(groups)} |")
    return "\n".join(lines)


def shown() -> str:
    """Returns the table that the README shows now."""
    return README.read_text().partition(BEGIN)[2].partition(END)[0].strip()


if __name__ == "__main__":
    before, _, rest = README.read_text().partition(BEGIN)
    README.write_text(f"{before}{BEGIN}\n\n{table()}\n\n{END}{rest.partition(END)[2]}")
