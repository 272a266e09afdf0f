"""``frdiff-tune schema``."""

from __future__ import annotations

import sys


def schema() -> None:
    """Print the JSON Schema that a policy file obeys.

    [dim]Example:[/dim]  frdiff-tune schema > policy.schema.json
    """
    from frdiff_tune.policy.schema import schema_text

    sys.stdout.write(schema_text())
