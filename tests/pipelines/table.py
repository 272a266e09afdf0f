"""The README's tables of pipelines and of groups, made from the rows that the conformance case runs over.

python -m tests.pipelines.table
"""

from pathlib import Path

from frdiff_tune.runtime import default_groups, find_denoisers
from tests.pipelines import ROWS, toy

README = Path(__file__).parent.parent.parent / "README.md"
BEGIN, END = "<!-- pipelines:begin -->", "<!-- pipelines:end -->"


def table() -> str:
    """Returns two tables in Markdown: what works with which classes, and what each network can reuse."""
    pipelines = ["| what | pipeline | network |", "|---|---|---|"]
    groups: dict[str, list[str]] = {}
    for name, row in ROWS.items():
        if name in toy.ROWS:
            continue
        pipe = row.make()
        networks = ", ".join(dict.fromkeys(f"`{type(d.module).__name__}`" for d in find_denoisers(pipe)))
        pipelines.append(f"| {name} | `{type(pipe).__name__}` | {networks} |")
        known = groups.setdefault(networks, [])
        known += [group for group in default_groups(pipe) if group not in known]
    rows = [f"| {network} | {', '.join(sorted(names))} |" for network, names in groups.items()]
    return "\n".join([*pipelines, "", "| network | groups |", "|---|---|", *rows])


def shown() -> str:
    """Returns the tables that the README shows now."""
    return README.read_text().partition(BEGIN)[2].partition(END)[0].strip()


if __name__ == "__main__":
    before, _, rest = README.read_text().partition(BEGIN)
    README.write_text(f"{before}{BEGIN}\n\n{table()}\n\n{END}{rest.partition(END)[2]}")
