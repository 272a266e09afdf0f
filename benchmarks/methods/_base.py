"""What a method is: its settings at a number of network calls, of which one is chosen on search cases."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.methods.sampler import Sampler
from frdiff_tune.measure import Case, digest_of, shuffled
from frdiff_tune.measure.references import setting_of
from frdiff_tune.policy import Policy
from frdiff_tune.search.setting import search_cases
from frdiff_tune.search.study import Study

Setting = Policy | Sampler
"""What draws: a policy, or a scheduler on the bare pipeline."""
Keyframes = tuple[int, ...]
"""Steps of the reference's run that call the network, in order, step 0 first."""


@dataclass(frozen=True)
class Method(ABC):
    """One way to draw with few network calls.

    A member of the family is a file with one class, and a line in ``METHODS``.

    Arguments:
        name: For tables; no two methods share one.
        family: For the figure, which joins the closest method of a family at each number of calls.
    """

    name: str
    family: str

    @abstractmethod
    def policies(self, pipe: Any, study: Study, calls: int) -> Iterable[tuple[str, Setting]]:  # noqa: ANN401
        """Yields the settings that call the network ``calls`` times, or cost as much, each with its label.

        Whatever a setting is fitted to or searched with are search cases. Where there is more than one, the search cases
        decide between them; none where the method cannot run on the pipeline.

        Arguments:
            pipe: The study's pipeline, bare.
            study: The study.
            calls: Network calls, or equivalents.
        """

    def equivalents(self, setting: Setting) -> float:
        """Returns what a picture costs, in full network calls; methods whose steps cost less than one say how much."""
        return float(setting.nfe)


def tuning_cases(study: Study, pipe: Any) -> tuple[Case, ...]:  # noqa: ANN401
    """Returns the search cases, shuffled: methods are fitted to and searched with the first so many of them."""
    return shuffled(search_cases(study, pipe))


def key_of(study: Study, pipe: Any, cases: Sequence[Case], **options: Any) -> str:  # noqa: ANN401
    """Returns the key under which something is kept that was searched in the study's full runs of some cases.

    Arguments:
        study: The study.
        pipe: Its pipeline.
        cases: The cases.
        options: All else that it depends on, as JSON values.
    """
    call = study.file.call
    setting = setting_of(pipe, call.num_inference_steps, call.arguments)
    return digest_of(["few calls", setting, [case.digest for case in cases], options])


def tables(setting: Setting) -> Mapping[str, Any]:
    """Returns what a setting is made of, as JSON values: enough to build it again without the code that found it."""
    if isinstance(setting, Sampler):
        return {"scheduler": setting.scheduler_info, "steps": setting.steps, "digest": setting.digest}
    sampling = setting.sampling
    found: dict[str, Any] = {"steps": sampling.num_inference_steps, "solver": sampling.scheduler.name}
    found["spacing"] = sampling.scheduler.config.get("timestep_spacing")
    if sampling.timesteps is not None:
        found["timesteps"] = list(sampling.timesteps)
    if setting.nfe < setting.T:
        found["keyframes"] = [step.t for step in setting.plan() if step.keyframe]
        found["variable"] = setting.variable
    if "score" in setting.forecast:
        found["score"] = {step.t: list(step.weights) for step in setting.plan() if step.weights}
    return {**found, "digest": setting.digest}
