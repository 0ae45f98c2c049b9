"""The training loop with a learner that only counts, and a clock that is moved by hand."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pytest

from napari_weak3d.errors import StorageError
from napari_weak3d.messages import NewSamples, Pause, PreviewSlice, Resume, Stop
from napari_weak3d.nn.loop import Budget, train_loop
from napari_weak3d.types import Preview, Sample, Slices, Volume


@dataclass
class Clock:
    """Seconds that pass only when told."""

    now: float = 0.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Counter:
    """A learner that notes what is asked of it; every step takes ``seconds``."""

    clock: Clock
    seconds: float = 1.0
    notice: str = "counting"
    fractions: list[float] = field(default_factory=list)
    calls: list[object] = field(default_factory=list)

    def step(self, fraction):
        self.fractions.append(fraction)
        self.clock.now += self.seconds
        return {"loss": float(len(self.fractions))}

    def show(self, where, *, sample):
        self.calls.append(("show", where, sample))
        return Preview(where, np.full((2, 2), len(self.fractions), np.int32), sample)

    def take(self, samples):
        self.calls.append(("take", samples))

    def save(self, fraction):
        self.calls.append(("save", self.clock.now, fraction))

    @property
    def saves(self):
        """(time, fraction of the budget used) of each checkpoint."""
        return [call[1:] for call in self.calls if call[0] == "save"]


@pytest.fixture
def clock():
    return Clock()


def finish(job, command=None):
    """Pull a job to its end: what it yielded, and what it returned."""
    yielded = []
    try:
        while True:
            yielded.append(job.send(command))
            command = None
    except StopIteration as end:
        return yielded, end.value


def test_a_budget_of_steps_takes_exactly_that_many(clock):
    learner = Counter(clock)
    progress, stopped = finish(train_loop(learner, budget=Budget(1, steps=5, clock=clock)))
    assert stopped is False
    assert learner.fractions == [0, 0.2, 0.4, 0.6, 0.8]
    assert [item.step for item in progress] == [1, 2, 3, 4, 5]
    assert {item.total for item in progress} == {5}
    assert [item.seconds_left for item in progress] == [4, 3, 2, 1, 0]
    assert [item.metrics["loss"] for item in progress] == [1, 2, 3, 4, 5]
    assert {item.message for item in progress} == {"counting"}


def test_a_budget_of_seconds_ends_with_the_first_step_that_reaches_it(clock):
    learner = Counter(clock, seconds=3)
    progress, _ = finish(train_loop(learner, budget=Budget(10, clock=clock)))
    assert learner.fractions == pytest.approx([0, 0.3, 0.6, 0.9])
    assert [item.seconds_left for item in progress] == [7, 4, 1, 0]


def test_expected_steps_follow_from_the_speed_so_far(clock):
    learner = Counter(clock, seconds=2)
    progress, _ = finish(train_loop(learner, budget=Budget(20, clock=clock)))
    assert [item.total for item in progress] == [10] * 10


def test_a_phase_ends_at_its_fraction_and_the_next_one_goes_on(clock):
    budget, learner = Budget(1, steps=10, clock=clock), Counter(clock)
    finish(train_loop(learner, budget=budget, until=0.6))
    assert budget.done == 6
    finish(train_loop(learner, budget=budget))
    assert budget.done == 10


def test_a_used_up_budget_still_trains_one_step(clock):
    budget, learner = Budget(5, clock=clock), Counter(clock)
    clock.now = 99
    finish(train_loop(learner, budget=budget))
    assert budget.done == 1


@pytest.mark.parametrize("begin", [0, 2])
def test_a_step_that_was_not_taken_does_not_count(clock, begin):
    learner = Counter(clock)
    step = learner.step
    learner.step = lambda fraction: (
        step(fraction) if not begin <= len(learner.fractions) < begin + 2 else fail(fraction)
    )

    def fail(fraction):
        step(fraction)
        return {}

    progress, _ = finish(train_loop(learner, budget=Budget(1, steps=4, clock=clock)))
    assert len(learner.fractions) == 6
    assert progress[-1].step == 4
    assert [item.metrics == {} for item in progress].count(True) == 2


@pytest.mark.parametrize("steps", [0, 10])
def test_a_skipped_part_counts_as_used(clock, steps):
    budget, learner = Budget(10, steps=steps, clock=clock), Counter(clock)
    budget.skip(0.7)
    finish(train_loop(learner, budget=budget))
    assert learner.fractions == pytest.approx([0.7, 0.8, 0.9])


def test_what_is_left_after_a_skipped_part_is_told_by_the_own_steps(clock):
    budget = Budget(60, steps=1000, clock=clock)
    budget.skip(0.5)
    assert budget.seconds_left is None
    job = train_loop(Counter(clock, seconds=1), budget=budget)
    first = next(job)
    assert (first.step, first.total, first.seconds_left) == (501, 1000, 499)
    assert next(job).seconds_left == 498


def test_steps_after_skipped_seconds_are_those_of_this_run(clock):
    budget = Budget(100, clock=clock)
    budget.skip(0.5)
    progress, _ = finish(train_loop(Counter(clock, seconds=2), budget=budget))
    assert [item.total for item in progress] == [25] * 25


@pytest.mark.parametrize("begin", [0.0, 100.0])
def test_time_spent_paused_is_not_counted(begin):
    clock = Clock(begin)
    budget = Budget(10, clock=clock)
    budget.pause()
    clock.now += 50
    assert budget.spent_s == 0
    budget.resume()
    clock.now += 4
    assert budget.spent_s == 4
    assert budget.fraction == 0.4


def test_reports_come_at_most_ten_a_second_and_the_first_step_is_reported(clock):
    learner = Counter(clock, seconds=0.03)
    progress, _ = finish(train_loop(learner, budget=Budget(1, steps=20, clock=clock)))
    assert [item.step for item in progress] == [1, 5, 9, 13, 17]


def test_stop_ends_after_the_current_step(clock):
    learner = Counter(clock)
    job = train_loop(learner, budget=Budget(1, steps=100, clock=clock))
    next(job)
    next(job)
    rest, stopped = finish(job, Stop())
    assert (rest, stopped) == ([], True)
    assert len(learner.fractions) == 2


def test_a_preview_is_answered_before_the_next_step(clock):
    learner = Counter(clock)
    job = train_loop(learner, budget=Budget(1, steps=3, clock=clock))
    assert next(job).preview is None
    answer = job.send(PreviewSlice((1, 7), sample=2))
    assert (answer.step, answer.preview.slice, answer.preview.sample) == (1, (1, 7), 2)
    assert learner.calls == [("show", (1, 7), 2)]
    following = next(job)
    assert (following.step, following.preview) == (2, None)


def test_previews_asked_for_in_a_row_are_answered_in_a_row(clock):
    job = train_loop(Counter(clock), budget=Budget(1, steps=3, clock=clock))
    next(job)
    answers = [job.send(PreviewSlice((0, index))) for index in range(3)]
    assert [answer.preview.slice[1] for answer in answers] == [0, 1, 2]
    assert {answer.step for answer in answers} == {1}


def test_new_samples_are_passed_on_before_the_next_step(clock):
    learner = Counter(clock)
    sample = Sample(Volume(np.zeros((1, 2, 2, 2))), Slices(np.zeros((2, 2, 2), np.int32)))
    job = train_loop(learner, budget=Budget(1, steps=3, clock=clock))
    next(job)
    assert job.send(NewSamples((sample,))).step == 2
    assert learner.calls == [("take", (sample,))]


def test_pause_saves_and_holds_until_resume(clock):
    learner = Counter(clock)
    budget = Budget(1, steps=3, clock=clock)
    job = train_loop(learner, budget=budget)
    next(job)
    for _ in range(3):
        held = job.send(Pause())
        assert (held.step, held.message) == (1, "paused")
    assert job.send(None).message == "paused"
    assert learner.saves == [(1, 1 / 3)]
    assert job.send(Resume()).step == 2
    finish(job)
    assert len(learner.fractions) == 3


def test_a_pause_is_not_charged_to_the_budget(clock):
    learner = Counter(clock)
    job = train_loop(learner, budget=Budget(4, clock=clock))
    next(job)
    paused = job.send(Pause())
    clock.now += 1000
    assert job.send(Pause()).seconds_left == paused.seconds_left == 3
    finish(job, Resume())
    assert learner.fractions == [0, 0.25, 0.5, 0.75]


def test_a_paused_loop_answers_previews_and_takes_samples(clock):
    learner = Counter(clock)
    job = train_loop(learner, budget=Budget(1, steps=3, clock=clock))
    next(job)
    job.send(Pause())
    answer = job.send(PreviewSlice((0, 4)))
    assert (answer.message, answer.preview.slice) == ("paused", (0, 4))
    assert job.send(NewSamples(())).preview is None
    assert learner.calls[-1] == ("take", ())


def test_stop_ends_a_pause_too(clock):
    learner = Counter(clock)
    job = train_loop(learner, budget=Budget(1, steps=3, clock=clock))
    next(job)
    job.send(Pause())
    assert finish(job, Stop()) == ([], True)
    assert len(learner.fractions) == 1


def test_a_checkpoint_is_written_every_20_seconds(clock):
    learner = Counter(clock, seconds=5)
    finish(train_loop(learner, budget=Budget(1, steps=16, clock=clock)))
    assert learner.saves == [(20, 4 / 16), (40, 8 / 16), (60, 12 / 16), (80, 1)]


def test_a_job_that_is_closed_does_nothing_more(clock):
    learner = Counter(clock)
    job = train_loop(learner, budget=Budget(1, steps=3, clock=clock))
    next(job)
    job.close()
    assert len(learner.fractions) == 1
    assert learner.calls == []


@dataclass
class OnFullDisk(Counter):
    """The disk is full between these times."""

    full: tuple[float, float] = (0, 50)

    def save(self, fraction):
        if self.full[0] <= self.clock.now < self.full[1]:
            raise StorageError("cannot write model.json: the disk is full")
        super().save(fraction)


def test_a_full_disk_is_said_and_training_goes_on(clock):
    learner = OnFullDisk(clock)
    progress, stopped = finish(train_loop(learner, budget=Budget(1, steps=80, clock=clock), save_every_s=20))
    assert stopped is False
    assert len(learner.fractions) == 80
    assert [time for time, _ in learner.saves] == [60, 80]
    assert [item.message for item in progress[:20]] == ["counting"] * 20
    assert {item.message for item in progress[20:60]} == {
        "training goes on, unsaved: cannot write model.json: the disk is full"
    }
    assert {item.message for item in progress[60:]} == {"counting"}
