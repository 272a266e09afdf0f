"""Code blocks of Markdown pages."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True, slots=True)
class Block:
    """A code block.

    Arguments:
        language: As the fence names it.
        code: What stands between the fences.
        line: Of the page, on which the code begins.
    """

    language: str
    code: str
    line: int

    @property
    def commands(self) -> Iterator[str]:
        """The lines of a shell block that are commands."""
        return (line for line in self.code.splitlines() if line.strip())


def blocks(page: Path) -> list[Block]:
    """Returns a page's code blocks in their order."""
    text = page.read_text(encoding="utf-8")
    return [Block(found[1], found[2], text[: found.start()].count("\n") + 2) for found in FENCE.finditer(text)]
