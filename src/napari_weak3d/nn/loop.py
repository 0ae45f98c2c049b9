"""The training loop that all methods share: a budget, a stream of progress, and commands taken between steps."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

from napari_weak3d.errors import StorageError
from napari_weak3d.messages import Command, NewSamples, Pause, PreviewSlice, Resume, Stop
from napari_weak3d.types import Preview, Progress, Sample, SliceIndex

Job: TypeAlias = Generator[Progress, Command | None, bool]
"""Yields progress, takes commands; returns whether it was stopped."""

_PAUSED_POLL_S = 0.05
"""How often a paused loop answers."""
_REPORT_S = 0.1
"""Reports are no closer than this, unless somebody waits for a preview."""


@dataclass
class Budget:
    """Minutes or steps, whichever is given; time spent paused does not count.

    Attributes
    ----------
    seconds
        Wall time; used where ``steps`` is 0.
    steps
        Optimizer steps, or 0.
    clock
        Seconds that never run backwards.
    """

    seconds: float
    steps: int = 0
    clock: Callable[[], float] = time.monotonic
    done: int = 0
    _start: float = field(init=False)
    _skipped: float = field(init=False, default=0.0)
    _skipped_steps: int = field(init=False, default=0)
    _paused_at: float | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        self._start = self.clock()

    @property
    def spent_s(self) -> float:
        """Seconds since the start, pauses left out."""
        return (self.clock() if self._paused_at is None else self._paused_at) - self._start

    @property
    def fraction(self) -> float:
        """How much is used, 0..1."""
        used = self.done / self.steps if self.steps else self.spent_s / self.seconds
        return min(1.0, used)

    @property
    def seconds_left(self) -> float | None:
        """An estimate; None before the first step of this run."""
        if not self.steps:
            return max(0.0, self.seconds - self.spent_s)
        own = self.done - self._skipped_steps  # what an earlier run did took none of these seconds
        return self.spent_s / own * (self.steps - self.done) if own else None

    @property
    def expected_steps(self) -> int:
        """Steps in all, as far as can be told now; where seconds count, of this run alone, as ``done`` is."""
        if self.steps:
            return self.steps
        own = max(self.fraction - self._skipped, 1e-3)
        return max(self.done, round(self.done * (1 - self._skipped) / own))

    def skip(self, fraction: float) -> None:
        """Count a part of the budget as used: what an earlier run did."""
        self._skipped = fraction
        if self.steps:
            self.done = self._skipped_steps = round(self.steps * fraction)
        else:
            self._start -= self.seconds * fraction

    def pause(self) -> None:
        """Stop the clock."""
        self._paused_at = self.clock()

    def resume(self) -> None:
        """Start the clock again."""
        if self._paused_at is not None:
            self._start += self.clock() - self._paused_at
            self._paused_at = None


class Learner(Protocol):
    """What the loop drives.

    Attributes
    ----------
    notice
        What it is doing, for people; what happened last, where that matters (less memory than needed).
    """

    notice: str

    def step(self, fraction: float) -> Mapping[str, float]:
        """Train a little; the metrics of this step. ``fraction`` is how much of the budget is used.

        No metrics: no step was taken (memory ran out, say), and the next call tries anew.
        """

    def show(self, where: SliceIndex, *, sample: int) -> Preview:
        """Predict a slice as the model sees it now."""

    def take(self, samples: tuple[Sample, ...]) -> None:
        """Go on with this annotation."""

    def save(self, fraction: float) -> None:
        """Write a checkpoint; ``fraction`` is how much of the budget is used."""


def train_loop(learner: Learner, *, budget: Budget, until: float = 1.0, save_every_s: float = 20.0) -> Job:
    """Step a learner until a fraction of the budget is used.

    Parameters
    ----------
    learner
        Does the work.
    budget
        Shared by all phases of a training.
    until
        Fraction of the budget at which this phase ends.
    save_every_s
        Seconds between checkpoints; the first comes after that time.

    Yields
    ------
    Progress
        At most ten a second. Send a command, or None.

    Returns
    -------
    bool
        Whether a Stop ended it.
    """
    last_saved = last_report = budget.clock()
    usual: str | None = None
    # A finished budget still trains one step: no model without.
    while budget.fraction < until or budget.done == 0:
        metrics = learner.step(budget.fraction)
        budget.done += bool(metrics)
        if budget.done <= 1 or budget.clock() - last_report >= _REPORT_S:
            last_report = budget.clock()
            if (yield from talk(learner, budget=budget, metrics=metrics)):
                return True
        if budget.clock() - last_saved >= save_every_s:
            usual = save_or_say(learner, budget.fraction, usual=usual)
            last_saved = budget.clock()
    return False


def save_or_say(learner: Learner, fraction: float, *, usual: str | None = None) -> str | None:
    """Write a checkpoint; where it cannot be written, say so in the notice: training is not lost before its end.

    Parameters
    ----------
    usual
        The notice to come back to, where the last checkpoint failed.

    Returns
    -------
    The same for the next one; None where this one was written.
    """
    try:
        learner.save(fraction)
    except StorageError as error:
        usual = learner.notice if usual is None else usual
        learner.notice = f"training goes on, unsaved: {error.message}"
        return usual
    if usual is not None:
        learner.notice = usual
    return None


def talk(learner: Learner, *, budget: Budget, metrics: Mapping[str, float]) -> Job:
    """Report once, and do what is asked until nothing more is; also for work between two loops.

    Parameters
    ----------
    learner
        Obeys; its ``notice`` is the message.
    budget
        Does not run while paused.
    metrics
        To report.

    Returns
    -------
    bool
        Whether a Stop came.
    """
    preview: Preview | None = None
    while True:
        command = yield _report(budget, metrics, preview, message=learner.notice)
        if isinstance(command, Pause):
            command = yield from _wait(learner, budget)
        if isinstance(command, Stop):
            return True
        preview = _obey(learner, command)
        if preview is None:
            return False


def _obey(learner: Learner, command: Command | None) -> Preview | None:
    if isinstance(command, PreviewSlice):
        return learner.show(command.slice, sample=command.sample)
    if isinstance(command, NewSamples):
        learner.take(command.samples)
    return None


def _wait(learner: Learner, budget: Budget) -> Generator[Progress, Command | None, Command | None]:
    """Hold until Resume or Stop, answering what else is asked meanwhile; the command that ended it."""
    budget.pause()
    save_or_say(learner, budget.fraction)
    preview: Preview | None = None
    while True:
        command = yield _report(budget, {}, preview, message="paused")
        if isinstance(command, Resume | Stop):
            budget.resume()
            return command
        preview = _obey(learner, command)
        if command is None:
            time.sleep(_PAUSED_POLL_S)


def _report(budget: Budget, metrics: Mapping[str, float], preview: Preview | None, *, message: str) -> Progress:
    return Progress(
        step=budget.done,
        total=budget.expected_steps,
        message=message,
        metrics=metrics,
        seconds_left=budget.seconds_left,
        preview=preview,
    )
