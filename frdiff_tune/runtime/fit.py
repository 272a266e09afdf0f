"""Whether a policy fits a pipeline: before it is put on, and before each run."""

from collections.abc import Mapping
from typing import Any

from frdiff_tune.errors import MismatchError
from frdiff_tune.policy import Policy
from frdiff_tune.runtime.families import CONTROLNET, GUIDANCE, Site
from frdiff_tune.runtime.patch import Patch
from frdiff_tune.runtime.pipeline import model_digest
from frdiff_tune.runtime.site import Denoiser
from frdiff_tune.runtime.solver import check_noise, check_takes_timesteps


def check_policy(
    policy: Policy,
    denoisers: Mapping[str, Denoiser],
    sites: Mapping[str, Site],
    scheduler: Any,  # noqa: ANN401
) -> None:
    """Checks that a policy belongs to a pipeline, before anything is changed.

    Arguments:
        policy: The policy.
        denoisers: The pipeline's denoisers, by component.
        sites: Its sites, by name.
        scheduler: Its own scheduler.

    Raises:
        MismatchError: If the policy is for another network, noise schedule or prediction type, or names unknown sites.
    """
    modules = [denoiser.module for denoiser in denoisers.values()]
    cached = next((module for module in modules if getattr(module, "is_cache_enabled", False)), None)
    if cached is not None:
        raise MismatchError(
            f"`pipe` must have no other cache on but its {type(cached).__name__} has one of diffusers'. "
            f"Call `.disable_cache()` on it first: a policy reuses what that cache would skip."
        )
    digest = model_digest(*modules)
    if policy.model.digest != digest:
        raise MismatchError(
            f"`policy.model` must be the pipeline's denoiser: the policy is for {policy.model.denoiser} "
            f"({policy.model.digest[:12]}) but the pipeline has {type(modules[0]).__name__} ({digest[:12]}). "
            f"Load {policy.model.source or 'the model that the policy was tuned for'}, or tune a policy for this one."
        )
    check_noise(policy.sampling.scheduler, scheduler)
    if policy.sampling.timesteps is not None:
        check_takes_timesteps(policy.sampling.scheduler)
    missing = [site for names in policy.groups.values() for site in names if site not in sites]
    if missing:
        raise MismatchError(
            f"`policy.groups` must name sites that the model has but {missing[0]!r} is none of its {len(sites)} "
            f"(missing: {len(missing)}). `discover_sites(pipe)` lists them; tune a policy for this model."
        )
    strange = next((denoiser for denoiser in denoisers.values() if not denoiser.family.converts), None)
    if policy.variable != "output" and strange is not None:
        raise MismatchError(
            f"`policy.variable` must be 'output' for {type(strange.module).__name__}, of which it is not known how its output "
            f"relates to noise and sample, but got {policy.variable!r}. Take a policy with variable 'output'."
        )
    held = [name for name, names in policy.groups.items() if name in policy.forecast and {GUIDANCE, CONTROLNET} & set(names)]
    if held:
        raise MismatchError(
            f"`policy.forecast` must not name {held[0]!r}: guidance and a ControlNet are held, not forecast. "
            f"Take its weights out."
        )


def check_parts(pipe: Any, parts: Mapping[str, Any]) -> None:  # noqa: ANN401
    """Checks that a pipeline still holds the networks that a policy was put on, compiled or not.

    Arguments:
        pipe: The pipeline.
        parts: Its networks when the policy was put on, by component.

    Raises:
        MismatchError: Naming the component and what stands there now.
    """
    for component, module in parts.items():
        held = getattr(pipe, component, None)
        if getattr(held, "_orig_mod", held) is not module:
            raise MismatchError(
                f"`pipe.{component}` must be the {type(module).__name__} that the policy was put on, but now it is "
                f"{'none' if held is None else 'another ' + type(held).__name__}. `.remove()`, then `apply_policy` again."
            )


def check_places(denoisers: Mapping[str, Denoiser], patches: Mapping[str, Mapping[str, Patch]]) -> None:
    """Checks that nobody replaced a module at a site since the policy was put on, as LoRAs and fusing do.

    Arguments:
        denoisers: The pipeline's denoisers, by component.
        patches: Site -> its patches, by path inside the denoiser.

    Raises:
        MismatchError: Naming the site and what stands there now.
    """
    for name, parts in patches.items():
        for path, patch in parts.items():
            found = _at(denoisers[name.partition(".")[0]].module, path)
            if found is not patch.owner or not patch.stands:
                raise MismatchError(
                    f"`{name}` must be the module that the policy was put on, but {_changed(path, found, patch)}. "
                    f"`.remove()`, then `apply_policy` again."
                )


def _at(denoiser: Any, path: str) -> Any:  # noqa: ANN401
    """Returns the module at a path, or None."""
    try:
        return denoiser.get_submodule(path)
    except AttributeError:
        return None


def _changed(path: str, found: Any, patch: Patch) -> str:  # noqa: ANN401
    """Returns in words what became of a patched module."""
    if found is None:
        return f"at {path!r} there is now nothing (was {type(patch.owner).__name__})"
    if found is not patch.owner:
        return f"at {path!r} there is now another {type(found).__name__} (was {type(patch.owner).__name__})"
    return f"somebody has replaced the `forward` of {path!r}, as hooks of offloading, casting and other caches do"
