"""The published JSON Schema of a policy file."""

import json
from pathlib import Path
from typing import Any

from frdiff_tune.policy.policy import Policy

SCHEMA_FILE = Path(__file__).with_name("policy.schema.json")


def json_schema() -> dict[str, Any]:
    """Returns the JSON Schema (draft 2020-12) that a policy file obeys; rules across tables are checked on loading."""
    schema = Policy.model_json_schema(by_alias=True)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def schema_text() -> str:
    """Returns the schema as the committed file holds it."""
    return json.dumps(json_schema(), indent=2, sort_keys=True) + "\n"
