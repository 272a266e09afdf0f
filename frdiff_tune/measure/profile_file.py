"""The profile as a value and as a file: what a model's steps cost, what reuse saves, what changes from step to step."""

import json
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import ConfigDict, Field, JsonValue, ModelWrapValidatorHandler, ValidationError, model_validator

from frdiff_tune.errors import MeasureError
from frdiff_tune.policy import Figure, Machine, ModelInfo
from frdiff_tune.policy.section import Count, Number, Section

SCHEMA_VERSION: Literal[1] = 1
Share = Figure
"""A share of a full network call."""


class ProfiledCall(Section):
    """How the pipeline was called.

    Arguments:
        num_inference_steps: Of the full run that speed-ups refer to.
        T: Steps that it walks.
        scheduler: Class name of its solver.
        batch: Pictures per call.
        arguments: What else is the same for all cases.
        capture: How the network is launched under a policy.
    """

    num_inference_steps: Annotated[int, Field(ge=1)]
    T: Annotated[int, Field(ge=2)]
    scheduler: str
    batch: Annotated[int, Field(ge=1)]
    arguments: dict[str, JsonValue]
    capture: str


class GroupProfile(Section):
    """What the reuse of one group is worth.

    Arguments:
        sites: Names of its sites.
        kinds: What its sites keep.
        module_classes: Classes of its modules.
        saved_ms: What a network call takes less that reuses this group alone.
        saved_share: The same as a share of a full network call.
        guided_share: The same where the guidance pair is reused as well, what that saves included; None where there is none.
        flops: Floating-point operations of a network call that its reuse saves; None if not counted.
        cache_bytes: Bytes that a run holds for it; None if not measured.
    """

    sites: tuple[str, ...]
    kinds: tuple[str, ...]
    module_classes: tuple[str, ...]
    saved_ms: Figure
    saved_share: Share
    guided_share: Share | None = None
    flops: Count | None = None
    cache_bytes: Count | None = None


class Combination(Section):
    """Several groups reused at once.

    Arguments:
        groups: Their names; of sites that lie inside each other, the outermost were reused.
        saved_share: What a network call takes less, as a share of a full one.
        guided_share: The same where the guidance pair is reused as well, what that saves included; None where there is none.
    """

    groups: tuple[str, ...]
    saved_share: Share
    guided_share: Share | None = None


class Costs(Section):
    """What a call takes beside what can be reused, in ms.

    Arguments:
        outside_ms: The call outside its steps: text encoder, decoder, preparation.
        step_ms: A step of the bare pipeline: its network call, guidance and solver.
        call_ms: The same under a policy, everything computing.
        after_jump_ms: What a network call takes more after a jump.
        jump_ms: Class name of a solver -> a step that calls no network.
        forecast_ms: What each further keyframe adds that a jump score is made of.
        convert_ms: What a score adds that is stored in another variable.
        mix_ms: What a step adds that mixes its score with a jump score.
    """

    outside_ms: Figure
    step_ms: Figure
    call_ms: Figure
    after_jump_ms: Figure
    jump_ms: dict[str, Figure]
    forecast_ms: Figure
    convert_ms: Figure
    mix_ms: Figure


class Operations(Section):
    """Floating-point operations, by torch's own counter.

    Arguments:
        step: Of a full step.
        call: Of the whole call.
    """

    step: Count
    call: Count


class Changes(Section):
    """How much what groups would keep changes from step to step; see ``measure.similarity``.

    Arguments:
        cases: Cases drawn.
        entries: Entries taken per site and sample of the network's batch, at most.
        bound_bytes: Memory that recording needs at its most beside the pipeline's.
        change: Group -> row t, from 0 to T - 1, with the relative change from steps s = 0 ... t - 1 to step t.
    """

    cases: Count
    entries: Count
    bound_bytes: Count
    change: dict[str, tuple[tuple[Number, ...], ...]]

    def neighbours(self, group: str) -> tuple[float, ...]:
        """Returns the change from each step to the next, length T - 1."""
        return tuple(row[-1] for row in self.change[group][1:])


class Profile(Section):
    """What the steps of a pipeline cost and what their reuse saves, on one machine.

    Arguments:
        model: The model.
        machine: Where it was measured.
        call: How it was called.
        rounds: How often everything was timed; figures are medians of them, with 95 % intervals.
        costs: What a call takes beside what can be reused.
        groups: Group -> what its reuse is worth.
        combinations: The same of several at once.
        guidance_share: What the reuse of the guidance pair saves, as a share of a full network call; None where there is none.
        site_ms: Site -> time of its own modules in a full network call; sites inside others are in both.
        operations: Floating-point operations.
        similarity: How much groups change from step to step; None if not recorded.
        schema_version: Version of the file format.

    Raises:
        MeasureError: If a rule of the format is broken.
    """

    model_config = ConfigDict(title="frdiff-tune profile", validate_default=True)

    schema_version: Literal[1] = SCHEMA_VERSION
    model: ModelInfo
    machine: Machine
    call: ProfiledCall
    rounds: Annotated[int, Field(ge=1)]
    costs: Costs
    groups: dict[str, GroupProfile]
    combinations: tuple[Combination, ...] = ()
    guidance_share: Share | None = None
    site_ms: dict[str, Number]
    operations: Operations
    similarity: Changes | None = None

    @model_validator(mode="wrap")
    @classmethod
    def _explain(cls, data: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:  # noqa: ANN401
        """Turns pydantic's findings into one ``MeasureError``."""
        try:
            return handler(data)
        except ValidationError as error:
            raise MeasureError(_finding(error)) from error

    @property
    def reference_ms(self) -> float:
        """Latency of the bare pipeline's full run."""
        return self.costs.outside_ms.value + self.call.T * self.costs.step_ms.value

    def save(self, path: str | Path) -> None:
        """Writes the profile as JSON; the file appears whole or not at all.

        Raises:
            MeasureError: If it cannot be written; what stood there before is untouched.
        """
        path = Path(path)
        part = path.with_name(f"{path.name}.part")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            part.write_text(self.text(), encoding="utf-8")
            part.replace(path)
        except OSError as error:
            if part.is_file():
                part.unlink()
            raise MeasureError(f"`{path}` could not be written: {error}. Free space or choose another path.") from error

    def text(self) -> str:
        """Returns the file's text."""
        tree = self.model_dump(mode="json", by_alias=True, exclude_none=True)
        return json.dumps(tree, indent=1, allow_nan=False) + "\n"


def load_profile(path: str | Path) -> Profile:
    """Reads a profile file.

    Raises:
        MeasureError: If the file is missing, broken, of another version, or holds an unknown key.
    """
    try:
        tree = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:  # bad UTF-8 and bad JSON are ValueErrors
        raise MeasureError(
            f"`{path}` must be a readable profile file but: {error}. Make one with `frdiff-tune profile MODEL -o {path}`."
        ) from error
    version = tree.get("schema_version") if isinstance(tree, dict) else None
    if version != SCHEMA_VERSION:
        raise MeasureError(
            f"`{path}` must be a profile of schema_version {SCHEMA_VERSION} but got {version!r}. Profile the model anew."
        )
    return Profile.model_validate(tree)


def _finding(error: ValidationError) -> str:
    """Returns pydantic's first finding in the house's words."""
    first = error.errors()[0]
    field = ".".join(str(part) for part in first["loc"]) or "the profile"
    if first["type"] == "extra_forbidden":
        return f"`{field}` is not a key of a profile (schema_version {SCHEMA_VERSION}). Remove it or correct its spelling."
    if first["type"] == "missing":
        return f"`{field}` must be given but is missing. Profile the model anew with `frdiff-tune profile`."
    return f"`{field}` must obey: {first['msg']}, but got {str(first['input'])[:80]!r}. Profile the model anew."
