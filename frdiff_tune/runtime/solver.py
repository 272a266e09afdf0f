"""Solvers: the diffusion scheduler that a policy carries, built, compared and checked."""

import functools
import inspect
import json
import math
import threading
from collections.abc import Mapping, Sequence
from typing import Any

from frdiff_tune.errors import MismatchError
from frdiff_tune.policy import SchedulerInfo, multistep
from frdiff_tune.runtime.holder import own_scheduler

NOISE_KEYS: dict[str, object] = {
    "num_train_timesteps": None,
    "beta_start": None,
    "beta_end": None,
    "beta_schedule": None,
    "trained_betas": None,
    "prediction_type": None,
    "rescale_betas_zero_snr": False,
}
"""What of a scheduler's configuration belongs to the model, with the value of a scheduler that lacks the key."""

FLOW_KEYS: dict[str, object] = {"num_train_timesteps": None, "use_dynamic_shifting": False}
"""The same for solvers of flow matching, beside the shift."""

UNSCALED_PIPELINES = ("DDPMPipeline", "DDIMPipeline", "DiTPipeline", "LDMTextToImagePipeline")
"""Pipelines that start from noise of variance 1 whatever ``init_noise_sigma`` says."""

STEP_ARGUMENTS = {"DDPMPipeline": ("generator",), "DDIMPipeline": ("eta", "use_clipped_model_output", "generator")}
"""What pipelines give to every solver's ``step``, whether it takes it or not."""


def scheduler_info(scheduler: Any) -> SchedulerInfo:  # noqa: ANN401
    """Returns a scheduler's class and whole configuration, as JSON values."""
    cls: Any = type(scheduler)
    config = {key: _plain(value) for key, value in sorted(scheduler.config.items()) if key in _options(cls)}
    return SchedulerInfo(name=cls.__name__, config=config)


@functools.cache
def _options(cls: Any) -> frozenset[str]:  # noqa: ANN401
    """Returns what a scheduler's class can be configured by."""
    return frozenset(inspect.signature(cls.__init__).parameters) - {"self", "kwargs"}


def _plain(value: Any) -> Any:  # noqa: ANN401
    """Returns a configuration value as JSON knows it; infinities, which it does not, as ``"inf"`` and ``"-inf"``."""
    if isinstance(value, float) and math.isinf(value):
        return str(value)
    if value is None or type(value) in (bool, int, float, str):
        return value
    return json.loads(json.dumps(value, default=lambda odd: odd.tolist() if hasattr(odd, "tolist") else str(odd)))


def scheduler_class(name: str) -> Any:  # noqa: ANN401
    """Returns the diffusers scheduler class called ``name``.

    Raises:
        MismatchError: If diffusers has no scheduler of that name.
    """
    import diffusers

    if name == multistep.NAME:
        from frdiff_tune.runtime.schedulers import LinearMultistepScheduler

        return LinearMultistepScheduler
    found = getattr(diffusers, name, None)
    if not (isinstance(found, type) and issubclass(found, diffusers.SchedulerMixin)):
        raise MismatchError(
            f"`scheduler` must be a scheduler of diffusers {diffusers.__version__} but got {name!r}. "
            f"Take a class name as `DDIMScheduler`."
        )
    return found


def build_scheduler(info: SchedulerInfo) -> Any:  # noqa: ANN401
    """Returns a new scheduler with the given class and configuration."""
    return _built(scheduler_class(info.name), info.config)


def _built(cls: Any, config: Mapping[str, Any]) -> Any:  # noqa: ANN401
    return cls.from_config({key: float(value) if value in ("inf", "-inf") else value for key, value in config.items()})


def check_takes_timesteps(info: SchedulerInfo) -> None:
    """Checks that a solver can walk timesteps that a policy lists.

    Raises:
        MismatchError: If it knows only its own.
    """
    if "timesteps" not in inspect.signature(scheduler_class(info.name).set_timesteps).parameters:
        raise MismatchError(
            f"`sampling.timesteps` must be null for {info.name}, which walks only timesteps of its own. Take them out of the "
            f"policy, or give it a solver that takes a list, as DPMSolverMultistepScheduler."
        )


def make_scheduler(pipe: Any, name: str, **options: Any) -> Any:  # noqa: ANN401
    """Returns another solver for the pipeline's model, its noise schedule and prediction type kept.

    Arguments:
        pipe: A diffusers pipeline.
        name: Class name of a diffusers scheduler.
        options: Configuration to change, as ``timestep_spacing="trailing"``.

    Raises:
        MismatchError: If the class or an option is unknown, or the pipeline cannot run it.
    """
    cls = scheduler_class(name)
    known = _options(cls)
    for key in options:
        if key not in known:
            raise MismatchError(f"`{name}` must have an option {key!r} but its options are {sorted(known)}.")
    config = own_scheduler(pipe).config
    scheduler = cls.from_config(config, **{**_adopted(config, known), **options})
    check_scheduler(pipe, scheduler)
    return scheduler


def check_scheduler(pipe: Any, scheduler: Any) -> None:  # noqa: ANN401
    """Checks that a solver belongs to the pipeline's model and that the pipeline can run it.

    Raises:
        MismatchError: If the noise schedule or prediction type differs, the solver refuses the prediction type, or it asks
            for scaled noise of a pipeline that does not scale it.
    """
    info, own = scheduler_info(scheduler), own_scheduler(pipe)
    check_noise(info, own)
    cls: Any = type(scheduler)
    _check_runs(cls, json.dumps(info.config), type(pipe).__name__, type(own).__name__)


@functools.lru_cache(maxsize=256)
def _check_runs(cls: Any, config: str, pipeline: str, own: str) -> None:  # noqa: ANN401
    """Checks that pipelines of a class can run a solver; what could is remembered, as a search asks thousands of times."""
    name, trial = cls.__name__, _built(cls, json.loads(config))
    for argument in STEP_ARGUMENTS.get(pipeline, ()):
        if argument not in inspect.signature(trial.step).parameters:
            raise MismatchError(
                f"`scheduler` must take {argument!r} in its steps, which {pipeline} gives, but {name} does not. Keep {own}."
            )
    try:
        walk(trial, len(trial) if name == multistep.NAME else 5)
        _dry_run(trial)
    except (ValueError, NotImplementedError) as error:
        raise MismatchError(f"`scheduler` must suit the model but {name} says: {error}. Choose another solver.") from error
    sigma = float(getattr(trial, "init_noise_sigma", 1.0))
    if pipeline in UNSCALED_PIPELINES and abs(sigma - 1.0) > 1e-6:
        raise MismatchError(
            f"`scheduler` must start from noise of variance 1 for {pipeline}, which does not scale its noise, "
            f"but {name} asks for {sigma:.4g}. Use DDIM, DPM-Solver++, UniPC or DEIS."
        )


def _dry_run(scheduler: Any) -> None:  # noqa: ANN401
    """Walks a solver over one zero: it refuses here what it would refuse in a run."""
    import torch

    sample = torch.zeros(1, 1, 1, 1)
    for time in scheduler.timesteps[:2]:
        if hasattr(scheduler, "scale_model_input"):  # those of flow matching scale nothing
            scheduler.scale_model_input(sample, time)
        sample = scheduler.step(torch.zeros_like(sample), time, sample).prev_sample


def check_noise(info: SchedulerInfo, scheduler: Any) -> None:  # noqa: ANN401
    """Checks that a policy's solver has the noise schedule and prediction type of a pipeline's.

    Raises:
        MismatchError: Naming both sides of the first difference.
    """
    own = scheduler_info(scheduler)
    theirs, ours = _noise(info), _noise(own)
    for key in {**theirs, **ours}:
        if theirs.get(key) != ours.get(key):
            raise MismatchError(
                f"`{key}` must be the model's: {info.name} of the policy has {theirs.get(key)!r} but the pipeline's {own.name} "
                f"has {ours.get(key)!r}. Tune a policy for this model, or load the pipeline with the scheduler that it was "
                f"trained for."
            )


def _noise(info: SchedulerInfo) -> dict[str, Any]:
    """Returns what of a scheduler belongs to the model; solvers of flow matching call the same things by other names."""
    if info.name == multistep.NAME and info.config.get("reference"):
        return _noise(SchedulerInfo.model_validate(info.config["reference"]))
    config = info.config
    if "FlowMatch" in info.name or config.get("use_flow_sigmas"):
        flow = {key: config.get(key, missing) for key, missing in FLOW_KEYS.items()}
        return {**flow, "prediction_type": "flow_prediction", "shift": config.get("shift", config.get("flow_shift", 1.0))}
    return {key: config.get(key, missing) for key, missing in NOISE_KEYS.items()}


def _adopted(config: Mapping[str, Any], known: frozenset[str]) -> dict[str, Any]:
    """Returns the model's part of a scheduler's configuration under the names that another class has for it."""
    noise = {key: config[key] for key in NOISE_KEYS if key in config and key in known}  # else the class's own defaults win
    shift = config.get("shift", config.get("flow_shift"))
    if shift is None:
        return noise
    if "use_flow_sigmas" in known and ("shift" in config or config.get("use_flow_sigmas")):
        return {**noise, "use_flow_sigmas": True, "prediction_type": "flow_prediction", "flow_shift": shift}
    return {**noise, "shift": shift} if "shift" in known else noise


def walk(scheduler: Any, steps: int) -> list[float]:  # noqa: ANN401
    """Sets a scheduler to ``steps`` and returns its timesteps, length T."""
    options = {"mu": 1.0} if scheduler.config.get("use_dynamic_shifting") else {}
    scheduler.set_timesteps(steps, **options)
    return [float(time) for time in scheduler.timesteps]


def timesteps_of(scheduler: Any, steps: int) -> Sequence[float]:  # noqa: ANN401
    """Returns the timesteps that a solver walks in ``steps``; the solver itself is not changed."""
    cls: Any = type(scheduler)
    return _walked(cls, json.dumps(scheduler_info(scheduler).config), steps)


@functools.lru_cache(maxsize=1024)
def _walked(cls: Any, config: str, steps: int) -> tuple[float, ...]:  # noqa: ANN401
    return tuple(walk(_WALKERS.of(cls, config), steps))


def walker_of(scheduler: Any) -> Any:  # noqa: ANN401
    """Returns the one solver of a scheduler's kind that all of a thread share who only ask which timesteps it walks.

    Building a solver takes far longer than setting its steps. Set them before every use, and never put it into a pipeline.
    """
    cls: Any = type(scheduler)
    return _WALKERS.of(cls, json.dumps(scheduler_info(scheduler).config))


def _walker(cls: Any, config: str) -> Any:  # noqa: ANN401
    return _built(cls, json.loads(config))


class _Walkers(threading.local):
    """The solvers of one thread: between setting one's steps and reading its timesteps another thread would set others."""

    def __init__(self) -> None:
        self.of = functools.lru_cache(maxsize=128)(_walker)


_WALKERS = _Walkers()
