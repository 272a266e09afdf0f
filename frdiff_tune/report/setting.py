"""How a policy's pipeline is loaded and called: as its study says, where that can be found."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from frdiff_tune.errors import FrdiffError, ModelError

if TYPE_CHECKING:
    from frdiff_tune.policy import Policy
    from frdiff_tune.search import Study


@dataclass(frozen=True, slots=True)
class Setting:
    """A pipeline to load and the arguments that it is called with.

    Arguments:
        source: Hub id, folder, ``demo:...`` or factory.
        steps: ``num_inference_steps`` of the reference.
        call: Further arguments of the call, such as ``guidance_scale``.
        loading: Further arguments of ``load_pipeline``.
        study: The study, or None where none was found.
    """

    source: str
    steps: int
    call: dict[str, Any] = field(default_factory=dict)
    loading: dict[str, str] = field(default_factory=dict)
    study: Study | None = None

    def load(self) -> Any:  # noqa: ANN401 - a diffusers pipeline
        """Returns the pipeline.

        Raises:
            ModelError: If it is not to be had.
        """
        from frdiff_tune.runtime import load_pipeline

        return load_pipeline(self.source, **self.loading)

    @property
    def note(self) -> str:
        """What a reader should know if no study was found; else empty."""
        if self.study is not None:
            return ""
        return (
            f"The policy's study was not found: the reference has {self.steps} steps, the call the pipeline's own defaults. "
            "Name the study with --study to compare as it was tuned."
        )


def setting_of(policy: Policy, *, study: str = "", model: str = "", device: str = "", dtype: str = "") -> Setting:
    """Returns how to load and call the pipeline of a policy.

    Arguments:
        policy: The policy.
        study: A study's name or path; empty: the one that the policy comes from, if it can be found.
        model: What to load instead of what study or policy name.
        device: What to load it on instead of what the study names.
        dtype: What to load it in instead of what the study names.

    Raises:
        StudyError: If a study was named and cannot be read.
        ModelError: If nothing names the model.
    """
    found = _study(policy, study)
    source = model or policy.model.source or (found.file.model.source if found else "")
    if not source:
        raise ModelError("--model must name the model to load, because the policy does not. Give a hub id or a folder.")
    loading = {} if model else {"revision": policy.model.revision}
    if found is not None and not model:
        section = found.file.model
        loading |= {"variant": section.variant, "dtype": section.dtype, "device": section.device}
    loading["pipeline"] = policy.model.pipeline if found is None else found.file.model.pipeline
    loading |= {name: value for name, value in (("device", device), ("dtype", dtype)) if value}
    if found is None:
        return Setting(source, policy.sampling.num_inference_steps, loading=loading)
    return Setting(source, found.file.call.num_inference_steps, found.file.call.arguments, loading, found)


def _study(policy: Policy, name: str) -> Study | None:
    from frdiff_tune.search import load_study

    if name:
        return load_study(name)
    own = policy.provenance.study if policy.provenance else ""
    try:
        return load_study(own) if own else None
    except FrdiffError:
        return None  # the file has moved on without its study: ``note`` says so
