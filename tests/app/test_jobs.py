"""Jobs: whatever becomes of the child, the app hears of it in plain words and can go on."""

import contextlib
import os
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from napari_weak3d import __version__
from napari_weak3d.app.jobs import Jobs, JobState, new_job_id
from napari_weak3d.errors import Weak3DError
from napari_weak3d.messages import Segment, Train

pytestmark = pytest.mark.window

CHILD = [sys.executable, "-P", str(Path(__file__).with_name("acting_child.py"))]
IMAGES = ("a", "b")


class Heard:
    """What the signals said, in their order."""

    def __init__(self, jobs):
        self.all, self.threads = [], set()
        for name in ("state_changed", "hello", "advanced", "finished", "failed"):
            getattr(jobs, name).connect(lambda message, name=name: self.note(name, message))
        jobs.shown.connect(lambda preview, image: self.note("shown", (preview, image)))

    def note(self, name, message):
        self.all.append((name, message))
        self.threads.add(threading.current_thread())

    def of(self, name):
        return [message for each, message in self.all if each == name]


@pytest.fixture
def make_jobs(qtbot, tmp_path):
    with contextlib.ExitStack() as stack:

        def make(how="stays", command=None):
            jobs = Jobs(command=command or [*CHILD, how])
            stack.callback(jobs.close)
            jobs.heard = Heard(jobs)
            return jobs

        yield make


@pytest.fixture
def wait(qtbot):
    def wait(condition):
        qtbot.waitUntil(lambda: bool(condition()))

    return wait


@pytest.fixture
def running(make_jobs, wait):
    jobs = make_jobs()
    jobs.submit(training())
    wait(lambda: jobs.state is JobState.RUNNING)
    return jobs


def training(does=""):
    return Train(new_job_id(), "/p", IMAGES, method="m", model="x", settings={"does": does})


def failure_of(jobs, wait, request):
    jobs.submit(request)
    wait(lambda: jobs.heard.of("failed"))
    (failure,) = jobs.heard.of("failed")
    assert failure.job == request.job
    assert jobs.state is JobState.IDLE
    return failure


def pid_of(hello):
    return hello.devices[0].name


def test_child_started_early_tells_its_devices_and_nothing_runs(make_jobs, wait):
    jobs = make_jobs()
    jobs.start()
    jobs.start()
    wait(lambda: jobs.heard.of("hello"))
    assert len(jobs.heard.of("hello")) == 1
    assert jobs.state is JobState.IDLE


def test_job_goes_from_starting_to_running_to_its_end(running, wait):
    request = running.request
    running.stop()
    assert running.state is JobState.STOPPING
    wait(lambda: running.heard.of("finished"))
    assert running.heard.of("state_changed") == ["starting", "running", "stopping", "idle"]
    assert running.heard.of("finished")[0].job == request.job
    assert running.request is None


def test_state_is_idle_when_the_end_is_heard_so_that_the_next_job_can_follow(running, wait):
    seen = []
    running.finished.connect(lambda _: (seen.append(running.state), running.submit(training())))
    running.stop()
    wait(lambda: running.state is JobState.RUNNING)
    assert seen == [JobState.IDLE]


def test_every_signal_arrives_on_the_main_thread(running, wait):
    running.preview((0, 1), "a")
    wait(lambda: running.heard.of("shown"))
    assert running.heard.threads == {threading.main_thread()}


def test_reports_of_other_jobs_are_not_passed_on(running):
    assert {report.job for report in running.heard.of("advanced")} == {running.request.job}


def test_second_job_is_refused_with_the_name_of_the_first(running):
    with pytest.raises(Weak3DError, match="the training is still running"):
        running.submit(training())


def test_pause_and_resume_reach_the_job(running, wait):
    running.pause()
    assert running.state is JobState.PAUSED
    wait(lambda: running.heard.of("advanced")[-1].message == "paused")
    running.resume()
    assert running.state is JobState.RUNNING
    wait(lambda: running.heard.of("advanced")[-1].message == "training")


def test_pause_without_a_job_does_nothing(make_jobs):
    jobs = make_jobs()
    for verb in (jobs.pause, jobs.resume, jobs.stop, jobs.kill, jobs.close):
        verb()
    assert jobs.heard.all == []


def test_preview_brings_the_labels_and_leaves_no_file(running, wait):
    running.preview((1, 7), "b")
    wait(lambda: running.heard.of("shown"))
    ((preview, image),) = running.heard.of("shown")
    assert (preview.slice, preview.sample, image) == ((1, 7), 1, "b")
    assert np.array_equal(preview.labels, np.full((2, 3), 7))
    assert not list(running._child._folder.glob("*.npy"))


def test_preview_of_an_image_that_is_not_trained_on_is_not_asked_for(running, wait):
    running.preview((0, 1), "another")
    running.preview((0, 2), "a")
    wait(lambda: running.heard.of("shown"))
    assert [preview.slice for preview, _ in running.heard.of("shown")] == [(0, 2)]


def test_error_of_the_users_arrives_as_it_was_sent(make_jobs, wait):
    failure = failure_of(make_jobs(), wait, Segment(new_job_id(), "/p", "a", "x"))
    assert (failure.kind, failure.message, failure.where, failure.value) == (
        "AnnotationError",
        "nothing is painted",
        "labels",
        3,
    )


def test_line_that_is_no_message_does_no_harm(make_jobs, wait):
    jobs = make_jobs()
    jobs.submit(training("junk"))
    jobs.stop()
    wait(lambda: jobs.heard.of("finished"))


CRASHES = {
    "abort": "the training crashed in a library",
    "kill": "the training was ended by the system, most likely because memory ran out",
    "term": "the training was ended by the system or by another program: start it again",
    "exit": "the training ended without a word (exit code 7)",
}


@pytest.mark.skipif(sys.platform == "win32", reason="signals are POSIX")
@pytest.mark.parametrize("does", CRASHES)
def test_child_that_dies_is_told_in_plain_words_and_the_next_job_works(make_jobs, wait, does):
    jobs = make_jobs()
    failure = failure_of(jobs, wait, training(does))
    assert failure.kind == "crashed"
    assert failure.message.startswith(CRASHES[does])
    assert "its model is as it was last saved" in failure.message
    jobs.submit(training())
    wait(lambda: jobs.state is JobState.RUNNING)


def test_end_of_the_log_comes_with_a_crash(make_jobs, wait):
    assert "the last words" in failure_of(make_jobs(), wait, training("exit")).log_tail


def test_killed_job_ends_at_once_and_the_next_one_runs_in_a_fresh_process(running, wait):
    running.stop()
    running.kill()
    (failure,) = running.heard.of("failed")
    assert failure.kind == "killed"
    assert running.state is JobState.IDLE
    running.submit(training())
    wait(lambda: running.state is JobState.RUNNING)
    first, second = running.heard.of("hello")
    assert pid_of(first) != pid_of(second)
    assert running.heard.of("finished") == []


def test_child_that_cannot_start_says_why_and_is_not_started_again_and_again(make_jobs, wait):
    jobs = make_jobs("broken")
    failure = failure_of(jobs, wait, training())
    assert failure.message == "the process that trains and segments could not start: ImportError: no torch here"
    assert jobs._child is None


def test_early_child_that_cannot_start_says_so_without_a_job(make_jobs, wait):
    jobs = make_jobs("broken")
    jobs.start()
    wait(lambda: jobs.heard.of("failed"))
    assert jobs.heard.of("failed")[0].job == ""


def test_python_that_is_not_there_is_an_error_of_ours_and_leaves_no_job(make_jobs):
    jobs = make_jobs(command=["/no/such/python"])
    with pytest.raises(Weak3DError, match="cannot be started"):
        jobs.submit(training())
    assert (jobs.state, jobs.request) == (JobState.IDLE, None)


def test_child_that_left_after_its_job_is_replaced_by_a_fresh_one(make_jobs, wait):
    jobs = make_jobs("leaves")
    jobs.submit(training())
    jobs.stop()
    wait(lambda: len(jobs.heard.of("hello")) == 2)
    assert jobs.heard.of("failed") == []


def test_job_sent_to_a_child_that_is_just_leaving_runs_in_the_next_one(make_jobs, wait):
    jobs = make_jobs("leaves before the next")
    jobs.submit(training())
    jobs.stop()
    wait(lambda: jobs.heard.of("finished"))
    jobs.submit(training())
    wait(lambda: jobs.state is JobState.RUNNING)
    assert jobs.heard.of("failed") == []
    assert len(jobs.heard.of("hello")) == 2


def test_closing_tells_nothing_more_and_ends_the_child(running, wait):
    child = running._child
    running.close()
    assert running.state is JobState.IDLE
    wait(lambda: child._process.poll() is not None)
    assert running.heard.of("failed") == []


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="niceness is POSIX")
def test_child_that_ships_starts_gives_way_to_the_window_and_leaves_when_closed(qtbot, wait):
    jobs = Jobs()
    jobs.heard = Heard(jobs)
    jobs.start()
    child = jobs._child
    wait(lambda: jobs.heard.of("hello"))
    assert jobs.heard.of("hello")[0].version == __version__
    nice = [os.getpriority(os.PRIO_PROCESS, pid) for pid in (os.getpid(), child.pid)]
    assert nice[1] >= min(19, nice[0] + 10)
    if sys.platform == "linux":
        wait(lambda: os.sched_getscheduler(child.pid) == os.SCHED_IDLE)
    jobs.close()
    wait(lambda: child._process.poll() is not None)


def test_child_prints_into_the_log_it_was_given(qtbot, tmp_path, wait):
    log = tmp_path / "log.txt"
    jobs = Jobs(command=[*CHILD, "stays"], log=log)
    jobs.heard = Heard(jobs)
    failure_of(jobs, wait, training("exit"))
    assert "the last words" in log.read_text()
    jobs.close()
