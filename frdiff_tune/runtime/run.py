"""The state of one run of the pipeline: where it stands, and the tensors that it keeps."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import TYPE_CHECKING, Any

from frdiff_tune.policy import Policy, StepPlan
from frdiff_tune.runtime.bank import Bank
from frdiff_tune.runtime.families import CONTROLNET, GUIDANCE
from frdiff_tune.runtime.features import Features, Opening
from frdiff_tune.runtime.keeping import PLAIN, REUSE, STORE
from frdiff_tune.runtime.owner import Owner, present
from frdiff_tune.runtime.scores import Scores
from frdiff_tune.runtime.storage import bytes_of
from frdiff_tune.runtime.trace import StepTrace, Trace
from frdiff_tune.runtime.variable import Level, noise_levels

if TYPE_CHECKING:
    from torch import Tensor

Signature = tuple[Any, ...]


@dataclass(slots=True)
class Run:
    """One run: a mutable record that ``reset`` empties; nothing of it survives into the next run.

    Arguments:
        policy: The policy that is executed.
        features: What the sites have kept.
        t: Current step; None outside a run.
        calls_before: Name of a pass -> network calls by that name since the last tick of the clock.
        context: The pipeline's own name for the present call, from ``cache_context``; empty where it gives none.
        half: While only the conditional half of the batch is computed: whether it is the first one.
        forced: Whether the current call runs in full against the policy.
        levels: Noise level of each step that is walked; known from the first network call on.
        scores: Scores of the last keyframes of each pass.
        deltas: ("batch" or "pass", pass) -> unconditional minus conditional score, of the halves of a batch or of two passes.
        passes: Pass -> score of the network at the present step, of passes that may be the conditional one of a pair.
        signatures: Pass -> step, and denoiser, shape, dtype and device of the sample, when it last ran.
        idle_controlnet: Whether the ControlNet was not run for the present pass, because the denoiser will not be.
        paired: Pass -> whether its batch was a guidance pair at the step before.
        pairs_itself: Whether the solver walks a guidance pair as it is.
        batches: Pass -> samples of its call at the present step.
        whole_pair: Whether both halves of a guidance pair ran at the present step.
        held_bytes: Bytes that the last whole run stored at its most.
        by_hand: Whether a denoising loop written by hand is under way; it stays when a run is reset.
        owner: The pipeline call that the run belongs to.
        plain: Why the present or last run goes unaccelerated; empty if it follows the policy.
        rows: Distinct sets of groups that the policy's network calls reuse, and the one that reuses none.
    """

    policy: Policy
    features: Features
    t: int | None = None
    calls_before: dict[str, int] = field(default_factory=dict)
    context: str = ""
    half: bool | None = None
    forced: bool = False
    levels: tuple[Level, ...] = ()
    scores: Scores = field(default_factory=Scores)
    deltas: dict[tuple[str, str], "Tensor"] = field(default_factory=dict)
    passes: dict[str, "Tensor"] = field(default_factory=dict)
    signatures: dict[str, tuple[int, Signature]] = field(default_factory=dict)
    idle_controlnet: bool = False
    paired: dict[str, bool] = field(default_factory=dict)
    pairs_itself: bool = False
    batches: dict[str, int] = field(default_factory=dict)
    whole_pair: bool = False
    held_bytes: int = 0
    by_hand: bool = False
    owner: Owner | None = None
    plain: str = ""
    rows: int = 1
    _plan: tuple[StepPlan, ...] = ()
    _group_of: dict[str, str] = field(default_factory=dict)
    _most_bytes: int = 0
    _calls: int = 0
    _computed: set[str] = field(default_factory=set)
    _was_forced: bool = False
    _steps: list[StepTrace] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.load(self.policy)

    def load(self, policy: Policy) -> None:
        """Switches to another policy; what was stored is dropped."""
        self.reset()
        self.policy = policy
        self._plan = policy.plan()
        self.features.load(policy, self._plan)
        self.rows = len({step.reuses for step in self._plan if step.calls} | {frozenset()})
        self._group_of = {site: name for name, sites in policy.groups.items() for site in sites}
        self.scores.load(max((len(step.weights) for step in self._plan), default=0))

    def reset(self) -> None:
        """Ends any run and frees all stored tensors; the trace stays."""
        self.t, self.owner, self.pairs_itself = None, None, False
        self.half, self.forced, self.idle_controlnet = None, False, False
        for store in (self.features, self.scores, self.deltas, self.passes, self.signatures, self.paired, self.batches):
            store.clear()

    def finish(self) -> None:
        """Ends any run; of one that came to its end, tensors stay until the next if they are kept alive."""
        if self.t is not None or not self.features.storage.keep_alive:
            self.reset()

    def begin(self) -> None:
        """Starts a run of T steps."""
        self.reset()
        self._steps.clear()
        self.owner, self.plain = present(), ""
        self.t, self._most_bytes = 0, 0
        self._open()

    def forget_trace(self) -> None:
        """Drops what is known of the last run."""
        self._steps.clear()
        self.plain = ""

    def give_up(self, why: str) -> None:
        """Lets the present call go on unaccelerated; ``why`` stands in the trace."""
        self.reset()
        self._steps.clear()
        self.plain = why

    def owns(self) -> bool:
        """Whether the present network call belongs to the run that is under way."""
        return self.owner is not None and self.owner.is_(present())

    @property
    def busy(self) -> bool:
        """Whether a call, or a loop written by hand, is in the middle of a run."""
        return self.t is not None and (self.by_hand or (self.owner is not None and self.owner.running))

    def tick(self, batch: int) -> None:
        """Moves to the next step; ``batch`` is the number of samples that the solver walks."""
        if self.t is None:
            return
        self._most_bytes = max(self._most_bytes, self.stored_bytes)
        self._close_guidance(batch)
        self._steps.append(StepTrace(self.t, self._calls, frozenset(self._computed), self._was_forced))
        self.t += 1
        self._open()
        if self.t == len(self._plan):
            self.held_bytes = self._most_bytes
            self.t = self.owner = None
            self.finish()

    @property
    def key(self) -> str:
        """The present pass: its name where the pipeline gives one, and its number among those of that name."""
        number = self.calls_before.get(self.context, 0)
        return f"{self.context} {number}" if self.context and number else self.context or str(number)

    def end_pass(self) -> None:
        """Moves to the next pass of the same step."""
        self.calls_before[self.context] = self.calls_before.get(self.context, 0) + 1

    def seen(self, signature: Signature) -> bool:
        """Whether the present pass ran at the step before, with the same denoiser, shape, dtype and device; notes this one."""
        return self._note(self.key, signature)

    def seen_by_controlnet(self, signature: Signature) -> bool:
        """Whether the ControlNet was called in the same way at the step before; notes this call."""
        return self._note(f"{CONTROLNET} {self.key}", signature)

    def _note(self, key: str, signature: Signature) -> bool:
        assert self.t is not None, "no run is under way"
        known = self.signatures.get(key) == (self.t - 1, signature)
        self.signatures[key] = (self.t, signature)
        return known

    def will_jump(self) -> bool:
        """Whether the denoiser will not run in the present pass, as far as can be told before its call."""
        assert self.t is not None, "no run is under way"
        return not self.step.calls and self.signatures.get(self.key, (None,))[0] == self.t - 1 and self.can_jump()

    def reuses_controlnet(self) -> bool:
        """Whether the policy reuses the ControlNet's residuals at the present step."""
        return self._group_of.get(CONTROLNET) in self.step.reuses

    def note_controlnet(self) -> None:
        """Writes into the trace that the ControlNet ran, if a group of the policy holds it."""
        if CONTROLNET in self._group_of:
            self._computed.add(self._group_of[CONTROLNET])

    def _open(self) -> None:
        self._calls = 0
        self.calls_before.clear()
        self._computed.clear()
        self.passes.clear()
        self.batches.clear()
        self._was_forced = self.whole_pair = False

    @property
    def step(self) -> StepPlan:
        """The plan of the current step."""
        assert self.t is not None, "no run is under way"
        return self._plan[self.t]

    @property
    def trace(self) -> Trace:
        """What the last run did, or the present one up to now."""
        return Trace(tuple(self._steps), self.plain)

    def action_of_guidance(self) -> int:
        """Returns what the guidance pair does at the present step; plain if the policy does not reuse it."""
        group = self._group_of.get(GUIDANCE)
        if group is None:
            return PLAIN
        return REUSE if group in self.step.reuses and not self.forced else STORE

    def open_call(self, component: str, copies: bool, volatile: bool, device: Any, bank: Bank | None) -> Opening:  # noqa: ANN401
        """Tells the sites of a denoiser what to do in the network call that follows.

        Arguments:
            component: The denoiser.
            copies: Whether the call writes into what sites keep.
            volatile: Whether a later call may overwrite what this one gives.
            device: Where it runs.
            bank: Where its sites keep what CUDA graphs read and write, if any do.
        """
        call = Opening(component, self.key, self.step, self.forced, self.half, copies, volatile, device, bank)
        self._was_forced |= self.features.open(call)
        return call

    def close_call(self, call: Opening) -> None:
        """Takes what the sites have kept, and notes which groups computed."""
        self._computed |= self.features.close(call)
        self._calls += 1
        self.half = None

    def _close_guidance(self, batch: int) -> None:
        """Finds which passes are guidance pairs, and writes into the trace whether one ran whole.

        Arguments:
            batch: Samples that the solver walks.
        """
        for key, samples in self.batches.items():
            self.paired[key] = self.pairs_itself or samples == 2 * batch
        self.deltas = {key: delta for key, delta in self.deltas.items() if key[0] == "pass" or self.paired.get(key[1], True)}
        action = self.action_of_guidance()
        whole = self.whole_pair or any(self.paired[key] for key in self.passes)
        if action != PLAIN and whole:
            self._computed.add(self._group_of[GUIDANCE])
            self._was_forced |= action == REUSE

    def force(self) -> None:
        """Makes the present call run in full."""
        self.forced = self._was_forced = True

    def note_forced(self) -> None:
        """Writes into the trace that the present step ran more than the policy asked for."""
        self._was_forced = True

    def read_levels(self, scheduler: Any, times: Sequence[float], start: int) -> None:  # noqa: ANN401
        """Reads the noise levels of the steps that are walked, where scores are converted.

        Arguments:
            scheduler: With its timesteps set.
            times: Those timesteps.
            start: The first one that is walked.

        Raises:
            MismatchError: If the scheduler's noise levels are not known.
        """
        if self.policy.variable != "output":
            self.levels = noise_levels(scheduler, times)[start : start + self.policy.T]

    def push_score(self, score: "Tensor", x: "Tensor") -> None:
        """Stores the score of the present step and pass, if any step needs it.

        A forced step that is no keyframe only fills an empty store: it can be held, but is no node of a forecast.

        Arguments:
            score: In the policy's variable, with shape (batch, channels, ...).
            x: The network's input, with shape (batch, channels, ...), for runs that record it.
        """
        self.scores.push(self.key, self.step.t, score, self.step.keyframe)

    def can_jump(self) -> bool:
        """Whether the scores that the present step weighs are all stored."""
        keyframes = [step.t for step in self._plan[: self.step.t] if step.keyframe]
        return self.scores.ready(self.key, keyframes, len(self.step.weights))

    def forget_pass(self) -> None:
        """Drops all that the present pass stored: its shape has changed, or it did not run at the step before."""
        self.scores.forget(self.key)
        self.paired.pop(self.key, None)
        for kind in ("batch", "pass"):
            self.deltas.pop((kind, self.key), None)
        self.features.forget(self.key)

    @property
    def stored_bytes(self) -> int:
        """Bytes of the memory that stored tensors hold now, shared memory once."""
        return bytes_of(chain(self.features.tensors(), self.scores.tensors(), self.deltas.values(), self.passes.values()))
