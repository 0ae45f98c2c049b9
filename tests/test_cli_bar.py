"""Following a job: its result, its bar, and Ctrl-C."""

import signal
from collections.abc import Generator

import pytest

from napari_weak3d.cli.bar import follow, stop_on_interrupt
from napari_weak3d.messages import Command, Stop
from napari_weak3d.types import Progress

Job = Generator[Progress, Command | None, str]


@pytest.fixture(autouse=True)
def _interrupts_are_heard():
    """Whoever runs the tests behind another command, as a shell does with &, has them ignore Ctrl-C."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def count_to(total: int, *, interrupt_at: int = -1) -> Job:
    """Counts; tells what it received; stops after Stop; at one step a person presses Ctrl-C."""
    for step in range(1, total + 1):
        if step == interrupt_at:
            signal.raise_signal(signal.SIGINT)
        command = yield Progress(step, total, message="counting", metrics={"loss": 1 / step}, seconds_left=65.0)
        if isinstance(command, Stop):
            return f"stopped after {step}"
    return f"counted to {total}"


def test_result_of_the_job_is_returned():
    assert follow(count_to(3)) == "counted to 3"


def test_job_that_yields_nothing_has_a_result_too():
    assert follow(count_to(0)) == "counted to 0"


def test_watcher_sees_every_progress():
    steps = []
    follow(count_to(4), watch=lambda progress: steps.append(progress.step))
    assert steps == [1, 2, 3, 4]


def test_commands_are_sent_to_the_job():
    assert follow(count_to(9), commands=iter([None, Stop()]).__next__) == "stopped after 2"


def test_bar_shows_step_loss_and_time_left_on_standard_error(capsys):
    follow(count_to(3))
    shown = capsys.readouterr()
    assert shown.out == ""
    for part in ("counting", "3/3", "loss 0.333", "1:05 left"):
        assert part in shown.err


def test_a_job_that_fails_at_once_leaves_no_bar(capsys):
    def fail() -> Job:
        raise ValueError("broken")
        yield Progress(1, 2)

    with pytest.raises(ValueError, match="broken"):
        follow(fail())
    assert capsys.readouterr().err == ""


def test_error_of_the_job_comes_through():
    def fail() -> Job:
        yield Progress(1, 2)
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        follow(fail())


def test_interrupt_stops_the_job_and_keeps_its_result():
    with stop_on_interrupt() as commands:
        assert follow(count_to(9, interrupt_at=4), commands=commands) == "stopped after 4"


def test_second_interrupt_aborts():
    def stubborn() -> Job:
        for step in range(9):
            signal.raise_signal(signal.SIGINT)
            yield Progress(step, 9)
        return "never"

    with pytest.raises(KeyboardInterrupt), stop_on_interrupt() as commands:
        follow(stubborn(), commands=commands)


def test_interrupt_aborts_as_before_once_the_job_is_over():
    with stop_on_interrupt() as commands:
        follow(count_to(2), commands=commands)
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)
