"""A diffusers scheduler whose steps are tables of weights: every deterministic multistep solver, known or fitted."""

import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
from diffusers import ConfigMixin, SchedulerMixin
from diffusers.configuration_utils import register_to_config
from diffusers.schedulers.scheduling_utils import KarrasDiffusionSchedulers, SchedulerOutput

from frdiff_tune.errors import MismatchError
from frdiff_tune.policy.multistep import check_tables
from frdiff_tune.runtime.schedulers.first_order import first_order
from frdiff_tune.runtime.times import nearest, number, place_of

if TYPE_CHECKING:
    from torch import Tensor


SAME_MU = 1e-3
"""Shifts of the times that differ by less count as the same."""


class LinearMultistepScheduler(SchedulerMixin, ConfigMixin):
    """Walks x[i+1] = c[i] x[i] + sum_k b[i][k] z[i-k], with z[i] = s[i] o[i] + r[i] x[i].

    It needs nothing else of this package: put it on a bare pipeline as ``pipe.scheduler`` and call the pipeline with
    ``num_inference_steps`` equal to its number of steps. A walk that begins later (img2img) takes first-order steps until
    as many predictions are there as a row weighs. Steps are not differentiable.

    Arguments:
        num_train_timesteps: Steps of the model's training.
        timesteps: Times that the network is told, length n, noisiest first.
        alphas: Weight of the clean sample in each state, length n + 1.
        sigmas: Weight of the noise in each state, length n + 1.
        s: Weight of the output in the prediction, length n.
        r: Weight of the state in the prediction, length n.
        c: Weight of the state in the next one, length n.
        b: Weights of the last predictions in the next state, newest first; n rows, each of 1 to K numbers.
        input_scales: What the state is divided by before the network sees it, length n.
        variable: Whether predictions are clean samples (``sample``) or noise (``epsilon``).
        prediction_type: What the network predicts, for pipelines that ask.
        init_noise_sigma: Standard deviation of the first state, for pipelines that scale their noise.
        mu: Shift of the times that the reference walked; None where the pipeline gives none.
        reference: Class and configuration of the scheduler that the tables were made from: ``{"class": ..., "config": ...}``.

    Raises:
        PolicyError: If a table breaks a rule.

    References:
        | Bespoke Non-Stationary Solvers for Fast Sampling of Diffusion and Flow Models (Shaul et al., 2024)
        | https://arxiv.org/abs/2403.01329
    """

    order = 1
    _compatibles = [scheduler.name for scheduler in KarrasDiffusionSchedulers] + ["FlowMatchEulerDiscreteScheduler"]

    @register_to_config
    def __init__(
        self,
        num_train_timesteps: int = 1000,
        timesteps: Sequence[float] = (999,),
        alphas: Sequence[float] = (0.0, 1.0),
        sigmas: Sequence[float] = (1.0, 0.0),
        s: Sequence[float] = (1.0,),
        r: Sequence[float] = (0.0,),
        c: Sequence[float] = (0.0,),
        b: Sequence[Sequence[float]] = ((1.0,),),
        input_scales: Sequence[float] = (1.0,),
        variable: str = "sample",
        prediction_type: str = "sample",
        init_noise_sigma: float = 1.0,
        mu: float | None = None,
        reference: Mapping[str, Any] | None = None,
    ) -> None:
        check_tables(self.config)
        for key, value in (reference or {}).get("config", {}).items():
            if key not in self.config:  # pipelines read what shifts and shapes their times, as `base_shift`
                self.register_to_config(**{key: value})
        self.init_noise_sigma = init_noise_sigma
        self.memory = max(len(row) for row in b)
        self.sigmas = torch.tensor(sigmas, dtype=torch.float32)
        self.timesteps = torch.tensor(timesteps)
        self.num_inference_steps: int | None = None
        self._step_index: int | None = None
        self._begin_index: int | None = None
        self._forget()

    def __len__(self) -> int:
        """Returns the number of steps, n."""
        return len(self.config.timesteps)

    @property
    def step_index(self) -> int | None:
        """Step that comes next; None before a run."""
        return self._step_index

    @property
    def begin_index(self) -> int | None:
        """First step of the walk, where the pipeline has said so."""
        return self._begin_index

    def set_begin_index(self, begin_index: int = 0) -> None:
        """Tells which step the walk begins with."""
        self._begin_index = begin_index

    def set_timesteps(
        self,
        num_inference_steps: int | None = None,
        device: Any = None,  # noqa: ANN401
        timesteps: Sequence[float] | None = None,
        sigmas: Sequence[float] | None = None,
        mu: float | None = None,
    ) -> None:
        """Begins a run.

        Arguments:
            num_inference_steps: Must be n; None: the length of ``timesteps`` or ``sigmas`` must be.
            device: Where the timesteps are to lie.
            timesteps: Only those of the tables; pipelines of flow matching pass a list of their own, whose length counts.
            sigmas: Likewise.
            mu: Shift of the pipeline's times; the tables hold for the one that they were made at, another one is warned of.

        Raises:
            MismatchError: If another number of steps or other timesteps are asked for.
        """
        n = len(self)
        listed = timesteps if timesteps is not None else sigmas
        asked = num_inference_steps if listed is None else len(listed)
        if asked not in (None, n):
            raise MismatchError(
                f"`num_inference_steps` must be {n}, the number of steps that this scheduler's tables hold, but got {asked}. "
                f"Call pipe(..., num_inference_steps={n}), or fit a scheduler with {asked} steps."
            )
        own_list = self.config.prediction_type == "flow_prediction"
        if (
            timesteps is not None
            and not own_list
            and [number(time) for time in timesteps] != [float(time) for time in self.config.timesteps]
        ):
            raise MismatchError(
                f"`timesteps` must be those of this scheduler's tables but the call lists its own. Leave them out and pass "
                f"num_inference_steps={n}."
            )
        if mu is not None and self.config.mu is not None and abs(mu - self.config.mu) > SAME_MU:
            warnings.warn(
                f"The tables of this scheduler were made at a time shift of mu = {self.config.mu:.4g} but the call has "
                f"{mu:.4g}, as at another resolution: it walks the times of the former. Fit a policy at this resolution.",
                stacklevel=2,
            )
        self.num_inference_steps = n
        self.timesteps = torch.tensor(self.config.timesteps).to(device)
        self._step_index = self._begin_index = None
        self._forget()

    def scale_model_input(self, sample: "Tensor", timestep: Any = None) -> "Tensor":  # noqa: ANN401
        """Returns the state as the network sees it, with shape (batch, ...)."""
        scale = self.config.input_scales[self._index(timestep)]
        return sample if scale == 1.0 else sample / scale

    def step(
        self,
        model_output: "Tensor",
        timestep: Any,  # noqa: ANN401
        sample: "Tensor",
        eta: float = 0.0,
        use_clipped_model_output: bool | None = None,
        generator: Any = None,  # noqa: ANN401
        return_dict: bool = True,
    ) -> Any:  # noqa: ANN401
        """Takes one step.

        Arguments:
            model_output: The network's output, guided, with shape (batch, ...).
            timestep: Time of the step; asked for only at the first one, where the pipeline does not say where it begins.
            sample: The state, with shape (batch, ...).
            eta: Must be 0: the steps are deterministic.
            use_clipped_model_output: Must be falsy.
            generator: Not used; some pipelines pass it.
            return_dict: Whether to return an object with ``prev_sample`` instead of a tuple.

        Returns:
            The next state, in the dtype of ``sample``.

        Raises:
            MismatchError: If noise or clipping is asked for, or more steps than the tables hold.
        """
        if eta or use_clipped_model_output:
            name, value = ("eta", eta) if eta else ("use_clipped_model_output", use_clipped_model_output)
            raise MismatchError(
                f"`{name}` must be 0 for LinearMultistepScheduler, which adds no noise and clips nothing, but got {value}. "
                f"Leave it out."
            )
        i = self._index(timestep)
        if i >= len(self):
            raise MismatchError(f"`step` must be called {len(self)} times after `set_timesteps` but was called once more.")
        with torch.no_grad():
            advanced = self.advance(i, model_output, sample)
        self._step_index = i + 1
        if self._step_index == len(self):
            self._forget()
        return SchedulerOutput(prev_sample=advanced) if return_dict else (advanced,)

    def advance(self, i: int, model_output: "Tensor", sample: "Tensor") -> "Tensor":
        """Returns x[i+1]; at most five tensor operations, none of which waits for the device.

        Arguments:
            i: The step.
            model_output: o[i], with shape (batch, ...).
            sample: x[i], with shape (batch, ...).
        """
        if not self._slots or self._slots[0].shape != sample.shape or self._slots[0].device != sample.device:
            self._start(i, sample)
        state, ratio = self._slots[0].copy_(sample), self._ratios[i]
        slot = self._slots[1 + (i - self._start_index) % self.memory]
        if ratio is None:
            slot.copy_(model_output)
        else:
            torch.add(state, model_output, alpha=ratio, out=slot)
        advanced: Tensor = torch.mv(self._columns, self._weights[i]).view(sample.shape).to(sample.dtype)
        return advanced

    def add_noise(self, original_samples: "Tensor", noise: "Tensor", timesteps: Any) -> "Tensor":  # noqa: ANN401
        """Returns the states that clean samples become at their timesteps, with shape (batch, ...)."""
        i = self._noise_index(timesteps)
        noised: Tensor = self.config.alphas[i] * original_samples + self.config.sigmas[i] * noise
        return noised

    def scale_noise(self, sample: "Tensor", timestep: Any, noise: "Tensor") -> "Tensor":  # noqa: ANN401
        """The same, as pipelines of flow matching call it."""
        return self.add_noise(sample, noise, timestep)

    def index_for_timestep(self, timestep: Any, schedule_timesteps: Any = None) -> int:  # noqa: ANN401
        """Returns the step of a timestep: without waiting for the device where it is an entry of ``timesteps``."""
        place = place_of(timestep, self.timesteps)
        return nearest(self.config.timesteps, number(timestep)) if place is None else place

    def rows(self, begin: int = 0) -> list[tuple[float, list[float]]]:
        """Returns (c, b) of every step of a walk that begins at ``begin``, newest prediction first.

        Steps before ``begin`` keep their own row. A row that weighs predictions from before ``begin`` becomes first order.
        """
        config = self.config
        table: list[tuple[float, list[float]]] = []
        for i, (c, row) in enumerate(zip(config.c, config.b, strict=True)):
            if i >= begin > i + 1 - len(row):
                c, weight = first_order(config.variable, config.alphas[i : i + 2], config.sigmas[i : i + 2])
                row = [weight]
            table.append((c, list(row)))
        return table

    def _index(self, timestep: Any) -> int:  # noqa: ANN401
        if self._step_index is None:
            self._step_index = self.index_for_timestep(timestep) if self._begin_index is None else self._begin_index
        return self._step_index

    def _noise_index(self, timesteps: Any) -> int:  # noqa: ANN401
        """Returns the state that noise is added for: of a run under way the present one, as in diffusers' schedulers."""
        index = self._step_index if self._step_index is not None else self._begin_index
        if index is not None:
            return index
        return self.index_for_timestep(timesteps[:1] if getattr(timesteps, "ndim", 0) else timesteps)

    def _forget(self) -> None:
        """Frees what a run has kept."""
        self._slots: list[Tensor] = []
        self._weights: Sequence[Tensor] = ()
        self._columns: Any = None
        self._start_index = 0

    def _start(self, i: int, sample: "Tensor") -> None:
        """Makes room for the state and K predictions, and lays the weights out for a ring of K slots."""
        dtype = torch.promote_types(sample.dtype, torch.float32)
        buffer = torch.zeros(self.memory + 1, sample.numel(), dtype=dtype, device=sample.device)
        self._slots = [row.view(sample.shape) for row in buffer.unbind()]
        self._columns = buffer.t()
        self._start_index = i
        s, r = self.config.s, self.config.r
        # z[j] lies in its slot over r[j] (or, where r[j] is 0, over s[j]), so that one operation makes it
        self._ratios = [before / after if after else None for before, after in zip(s, r, strict=True)]
        factors = [after or before for before, after in zip(s, r, strict=True)]
        table = [[0.0] * (self.memory + 1) for _ in range(len(self))]
        for j, (c, row) in enumerate(self.rows(i)):
            if j >= i:
                table[j][0] = c
                for k, weight in enumerate(row):
                    table[j][1 + (j - k - i) % self.memory] = weight * factors[j - k]
        self._weights = torch.tensor(table, dtype=dtype).to(sample.device, non_blocking=True).unbind()
