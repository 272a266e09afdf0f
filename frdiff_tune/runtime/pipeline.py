"""Pipelines: loading them from wherever a study says, and describing their model."""

import hashlib
import inspect
import json
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from frdiff_tune.errors import ModelError
from frdiff_tune.policy import ModelInfo
from frdiff_tune.runtime.own_module import own_module
from frdiff_tune.runtime.site import find_denoisers

DTYPES = ("float32", "float16", "bfloat16")


def load_pipeline(
    source: str,
    *,
    revision: str = "",
    variant: str = "",
    dtype: str = "",
    device: str = "",
    pipeline: str = "",
) -> Any:  # noqa: ANN401
    """Loads a diffusers pipeline.

    Arguments:
        source: ``demo:emoji`` or ``demo:emoji-dit`` (embedded), a folder, a hub id, or ``package.module:factory``, a function
            without arguments that returns a pipeline.
        revision: Revision on the hub.
        variant: File variant, as ``fp16``.
        dtype: ``float32``, ``float16`` or ``bfloat16``; empty for the files' own.
        device: As ``cuda`` or ``cpu``; empty for the GPU if there is one.
        pipeline: Class to load it as, as ``StableDiffusionImg2ImgPipeline``; empty for the model's own.

    Returns:
        The pipeline on its device, its progress bar off.

    Raises:
        ModelError: If the source, the dtype or the device is not to be had, or the model lacks parts of the pipeline.
    """
    import torch

    target = _device(device)
    if dtype and dtype not in DTYPES:
        raise ModelError(f"`dtype` must be one of {', '.join(DTYPES)} but got {dtype!r}. Leave it out for the files' own.")
    options: dict[str, Any] = {"torch_dtype": getattr(torch, dtype)} if dtype else {}
    options |= {key: value for key, value in (("revision", revision), ("variant", variant)) if value}
    pipe = _open(source, options, pipeline)
    pipe.set_progress_bar_config(disable=True)
    return pipe.to(target)


def _device(device: str) -> str:
    import torch

    chosen = device or ("cuda" if torch.cuda.is_available() else "cpu")
    if chosen.startswith("cuda") and not torch.cuda.is_available():
        raise ModelError(
            f"`device` must be available on this machine but got {chosen!r}, and torch {torch.__version__} sees no CUDA "
            f"device. Use device = 'cpu', or check the driver with nvidia-smi."
        )
    try:
        torch.empty(0, device=chosen)
    except (RuntimeError, AssertionError) as error:
        raise ModelError(f"`device` must name a device of torch but got {chosen!r}: {error} Use 'cpu' or 'cuda'.") from error
    return chosen


def _open(source: str, options: dict[str, Any], pipeline: str) -> Any:  # noqa: ANN401
    if not source.startswith("demo:") and not Path(source).exists() and ":" in source:
        return _as_class(_factory(source), pipeline, source)
    cls = _pipeline_class(pipeline or "DiffusionPipeline")
    if source.startswith("demo:"):
        from frdiff_tune.demo import model_folder

        folder = str(model_folder(source.removeprefix("demo:")))
        _check_parts(cls, cls.load_config(folder), source)
        return _quietly(cls, folder, options)
    try:
        if pipeline:
            _check_parts(cls, cls.load_config(source, revision=options.get("revision")), source)
        return cls.from_pretrained(source, **options)
    except (OSError, ValueError) as error:
        raise ModelError(
            f"`source` must be an embedded model, a folder, a hub id or `package.module:factory` but {source!r} could not be "
            f"loaded: {str(error).splitlines()[0]} Check its spelling, the network, or `hf auth login` for gated models."
        ) from error


def _as_class(pipe: Any, name: str, source: str) -> Any:  # noqa: ANN401
    """Returns a factory's pipeline as another class around the same parts."""
    if not name or type(pipe).__name__ == name:
        return pipe
    cls = _pipeline_class(name)
    parts = {**pipe.config, **pipe.components}
    _check_parts(cls, parts, source)
    return cls(**{name: parts[name] for name in inspect.signature(cls.__init__).parameters if name in parts})


def _check_parts(cls: Any, parts: Mapping[str, Any], source: str) -> None:  # noqa: ANN401
    """Checks that a model has whatever a pipeline class cannot be made without."""
    needed = inspect.signature(cls.__init__).parameters.values()
    plain = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    missing = [one.name for one in needed if one.kind in plain and one.default is one.empty and one.name not in parts]
    if lacking := [name for name in missing if name != "self"]:
        raise ModelError(
            f"`pipeline` must be a class that {source!r} has all parts of but got {cls.__name__!r}, which needs "
            f"{' and '.join(lacking)} too. Choose another class, or add what lacks in a function of your own and give "
            f"source = 'package.module:function'."
        )


def _pipeline_class(name: str) -> Any:  # noqa: ANN401
    """Returns the diffusers pipeline class called ``name``."""
    import diffusers

    known = [other for other in dir(diffusers) if other.endswith("Pipeline")]
    found = getattr(diffusers, name, None) if name in known else None
    if not (isinstance(found, type) and issubclass(found, diffusers.DiffusionPipeline)):
        near = " or ".join(get_close_matches(name, known, 3))
        cure = f"Did you mean {near}?" if near else "Use the model's own, by leaving it out."
        raise ModelError(f"`pipeline` must be a pipeline class of diffusers {diffusers.__version__} but got {name!r}. {cure}")
    return found


def _quietly(cls: Any, folder: str, options: dict[str, Any]) -> Any:  # noqa: ANN401
    """Loads an embedded model without progress bars or remarks about its small autoencoder."""
    from diffusers.utils import logging
    from transformers.utils import logging as text_logging

    verbosity = logging.get_verbosity()
    shown = [talker for talker in (logging, text_logging) if talker.is_progress_bar_enabled()]
    logging.set_verbosity_error()
    for talker in shown:
        talker.disable_progress_bar()
    try:
        return cls.from_pretrained(folder, **options)
    finally:
        logging.set_verbosity(verbosity)
        for talker in shown:
            talker.enable_progress_bar()


def _factory(source: str) -> Any:  # noqa: ANN401
    module, _, name = source.partition(":")
    try:
        factory = getattr(own_module(module), name)
    except (ImportError, AttributeError) as error:
        raise ModelError(
            f"`source` must name a function as `package.module:factory` but {source!r} is not importable: {error}. "
            f"Run from the folder that holds the module, or install it."
        ) from error
    return factory()


def model_digest(*denoisers: Any) -> str:  # noqa: ANN401
    """Returns the SHA-256, hexadecimal, of the classes and configurations of a pipeline's denoisers."""
    parts: list[Any] = []
    for denoiser in denoisers:
        config = {key: value for key, value in denoiser.config.items() if not key.startswith("_")}
        parts += [type(denoiser).__name__, config]
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()


def describe_model(pipe: Any, source: str = "", revision: str = "") -> ModelInfo:  # noqa: ANN401
    """Returns what a policy says of the model that it is for."""
    denoisers = [denoiser.module for denoiser in find_denoisers(pipe)]
    return ModelInfo(
        pipeline=type(pipe).__name__,
        denoiser=type(denoisers[0]).__name__,
        digest=model_digest(*denoisers),
        source=source,
        revision=revision,
    )
