"""The child process, as the app meets it: through its pipes, with a method that does as it is told."""

import os
import queue
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from napari_weak3d import __version__
from napari_weak3d.io.project import Project, SlicesState, read_prediction
from napari_weak3d.io.volumes import read_labels, write_image
from napari_weak3d.messages import (
    Advanced,
    Failed,
    Finished,
    Hello,
    Pause,
    PreviewSlice,
    Resume,
    Segment,
    SegmentFiles,
    Shown,
    Stop,
    Suggest,
    Train,
    decode,
    encode,
)
from napari_weak3d.samples import paint_slices
from napari_weak3d.types import PaintClass, Volume

pytestmark = pytest.mark.slow

SCRIPTED = [sys.executable, "-P", str(Path(__file__).with_name("scripted_engine.py"))]
REAL = [sys.executable, "-P", "-m", "napari_weak3d.worker"]
LIMIT_S = 300
SHAPE = (6, 20, 22)


class Peer:
    """The other end of a child's pipes; waiting for something that never comes fails the test."""

    def __init__(self, command, *, log, **environment):
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            encoding="utf-8",
            env={**os.environ, **environment},
        )
        self.lines = queue.SimpleQueue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self.process.stdout:
            self.lines.put(line)
        self.lines.put(None)

    def say(self, *messages):
        self.write("".join(encode(message) + "\n" for message in messages))

    def write(self, text):
        self.process.stdin.write(text)
        self.process.stdin.flush()

    def heard(self):
        """Everything from now on, until the child ends."""
        latest = time.monotonic() + LIMIT_S
        while (line := self.lines.get(timeout=max(0.0, latest - time.monotonic()))) is not None:
            yield decode(line)

    def hear(self, kind, *, that=lambda message: True):
        """The next message of a kind with a property; others are dropped, but no job may end meanwhile."""
        for message in self.heard():
            if isinstance(message, kind) and that(message):
                return message
            assert not isinstance(message, Finished | Failed), message
        raise AssertionError("the child has ended")

    def run(self, request):
        """All reports on a request, the last of which is its end."""
        self.say(request)
        reports = []
        for message in self.heard():
            reports.append(message)
            if isinstance(message, Finished | Failed):
                return reports
        raise AssertionError("the child has ended")

    def end(self):
        self.process.stdin.close()
        return self.process.wait(LIMIT_S)


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    with (tmp_path_factory.mktemp("log") / "log.txt").open("w+") as file:
        yield file


@pytest.fixture(scope="module")
def child(log):
    peer = Peer(SCRIPTED, log=log)
    peer.greeting = peer.hear(Hello)
    yield peer
    assert peer.end() == 0


@pytest.fixture
def truth():
    labels = np.zeros(SHAPE, np.int32)
    labels[1:5, 4:10, 4:10], labels[1:5, 12:18, 12:18] = 1, 2
    return labels


@pytest.fixture
def project(tmp_path, truth):
    image = np.random.default_rng(0).normal(10, 1, SHAPE) + 20 * (truth > 0)
    with Project.create(tmp_path / "project") as project:
        for name in ("one", "two"):
            entry = project.store_volume(Volume(image[None].astype(np.float32), (2.0, 1.0, 1.0), "um", name))
            paint(project, project.add_image(entry).id, truth)
        yield project


def paint(project, image, truth, **changed):
    slices = replace(paint_slices(truth), **changed)
    state = SlicesState(slices.paint, slices.annotated, slices.classes)
    project.annotations(image).write(state, dict(enumerate(slices.labels)))
    return slices


def image_ids(project):
    return tuple(entry.id for entry in project.images)


def training(project, does="steps", *, steps=5, job="j1"):
    settings = {"does": does, "steps": steps}
    return Train(job, str(project.folder), image_ids(project), "scripted", "aaaa", settings)


def trained(child, project):
    """The project with a model in it."""
    assert isinstance(child.run(training(project))[-1], Finished)
    return {"project": str(project.folder), "model": "aaaa"}


def test_first_message_tells_versions_and_devices_the_processor_last(child):
    assert child.greeting.version == __version__
    assert child.greeting.torch
    assert child.greeting.devices[-1].kind == "cpu"


def test_training_reports_and_writes_the_model_into_the_project(child, project):
    reading, first, *_, last_report, end = child.run(training(project))
    assert reading.message == "reading the images"
    assert first.message == "beginning"
    assert last_report == Advanced("j1", 5, 5, "done", {"score": 0.5})
    assert end.job == "j1"
    assert end.result["model"] == "aaaa"
    assert end.result["metrics"]["score"] == 0.5
    assert end.result["stopped"] is False
    assert (project.folder / "models" / "aaaa" / "model.json").exists()


def test_training_can_start_from_its_own_model(child, project):
    trained(child, project)
    *_, end = child.run(replace(training(project), start="aaaa"))
    assert end.result["metrics"]["started"] == 1


def test_what_libraries_print_does_not_break_the_stream(child, project, log):
    *_, end = child.run(training(project, "print"))
    assert isinstance(end, Finished)
    printed = Path(log.name).read_text()
    assert "a library says hello" in printed
    assert "a program says hello" in printed


def test_what_reads_standard_input_eats_no_messages(child, project):
    assert isinstance(child.run(training(project, "read"))[-1], Finished)


def test_line_that_is_no_message_is_passed_over(child, project):
    child.write("junk\n\n")
    assert isinstance(child.run(training(project))[-1], Finished)


def test_runtime_error_in_the_engine_is_told_with_its_traceback_and_the_next_job_runs(child, project):
    *_, end = child.run(training(project, "runtime"))
    assert end.kind == "unexpected"
    assert "the shapes differ" in end.message
    assert "misbehave" in end.log_tail
    assert isinstance(child.run(training(project))[-1], Finished)


def test_memory_that_ran_out_is_told_in_plain_words(child, project):
    *_, end = child.run(training(project, "memory"))
    assert end.kind == "memory"
    assert "DefaultCPUAllocator" not in end.message
    assert "DefaultCPUAllocator" in end.log_tail


def test_error_of_ours_arrives_with_what_it_is_about(child, project):
    *_, end = child.run(training(project, "weak"))
    assert end == Failed("j1", "ConfigError", "width = -1: choose more", "width", -1)


def test_setting_that_is_unknown_is_named(child, project):
    *_, end = child.run(replace(training(project), settings={"stesp": 3}))
    assert (end.kind, end.where, end.value) == ("ConfigError", "stesp", 3)


def test_image_without_paint_fails_before_the_first_step(child, project, truth):
    paint(project, image_ids(project)[0], truth * 0)
    reading, end = child.run(training(project))
    assert reading.step == 0
    assert end.kind == "AnnotationError"
    assert not (project.folder / "models" / "aaaa").exists()


def test_stop_ends_a_training_and_keeps_its_model(child, project):
    child.say(training(project, steps=0))
    child.hear(Advanced, that=lambda report: report.step > 0)
    child.say(Stop())
    end = child.hear(Finished)
    assert end.result["stopped"] is True
    assert (project.folder / "models" / "aaaa" / "model.json").exists()


def test_stop_before_anything_was_learned_leaves_no_model(child, project):
    child.say(training(project, steps=0), Stop())
    assert child.hear(Finished).result == {"model": None, "metrics": {}, "stopped": True}
    assert not (project.folder / "models" / "aaaa" / "model.json").exists()


def test_process_that_still_imports_is_gone_at_once_with_its_folder_when_the_app_is(log, tmp_path):
    folder = tmp_path / "previews"
    folder.mkdir()
    peer = Peer([*REAL, str(folder)], log=log)
    assert peer.end() == 0
    assert not folder.exists()
    assert list(peer.heard()) == []  # it never got ready


def test_preview_of_the_second_image_comes_as_a_file(child, project):
    child.say(training(project, steps=0), PreviewSlice((1, 7), sample=1))
    shown = child.hear(Shown)
    assert (shown.slice, shown.image) == ((1, 7), image_ids(project)[1])
    assert np.array_equal(np.load(shown.file), np.full((2, 3), 7))
    child.say(Stop())
    child.hear(Finished)


def test_paused_training_stands_still_and_goes_on(child, project):
    child.say(training(project, steps=0))
    child.hear(Advanced, that=lambda report: report.step > 0)
    child.say(Pause(), PreviewSlice((0, 1)))
    # Commands are obeyed in their order: when the preview is there, the pause has begun.
    child.hear(Shown)
    standing = child.hear(Advanced).step
    child.say(PreviewSlice((0, 2)))
    child.hear(Shown)
    assert child.hear(Advanced).step == standing
    child.say(Resume())
    child.hear(Advanced, that=lambda report: report.step > standing)
    child.say(Stop())
    child.hear(Finished)


def test_paint_added_meanwhile_is_used(child, project, truth):
    child.say(training(project, steps=0))
    before = child.hear(Advanced, that=lambda report: report.metrics).metrics["painted"]
    image = image_ids(project)[1]
    slices = paint_slices(truth)
    more = slices.labels.copy()
    more[2] = np.maximum(more[2], 1)
    added = (more > 0).sum() - (slices.labels > 0).sum()
    paint(project, image, truth, labels=more)
    assert added > 0
    child.hear(Advanced, that=lambda report: report.metrics.get("painted") == before + added)
    child.say(Stop())
    child.hear(Finished)


def test_half_done_paint_is_told_and_does_not_end_the_training(child, project, truth):
    child.say(training(project, steps=0))
    before = child.hear(Advanced, that=lambda report: report.metrics).metrics["painted"]
    image = image_ids(project)[0]
    paint(project, image, truth, classes=(PaintClass(7, "another", background=True),))
    noted = child.hear(Advanced, that=lambda report: "not used yet" in report.message)
    assert "not in the table" in noted.message
    assert noted.metrics["painted"] == before
    paint(project, image, truth)
    child.hear(Advanced, that=lambda report: "not used yet" not in report.message)
    child.say(Stop())
    child.hear(Finished)


def test_segmentation_becomes_a_prediction_of_the_project(child, project):
    model = trained(child, project)
    image = image_ids(project)[0]
    *_, end = child.run(Segment("j2", image=image, **model))
    prediction = read_prediction(project.folder / "predictions" / end.result["prediction"])
    assert (prediction.image_id, prediction.model_id) == (image, "aaaa")
    assert np.array_equal(prediction.labels, np.ones(SHAPE))


def test_stopped_segmentation_writes_nothing(child, project):
    model = trained(child, project)
    child.say(Segment("j2", image=image_ids(project)[0], settings={"for_ever": True}, **model))
    child.hear(Advanced)
    child.say(Pause(), Resume(), Stop())
    assert child.hear(Finished).result == {"prediction": None, "stopped": True}
    assert not (project.folder / "predictions").exists() or not project.predictions(image_ids(project)[0])


def test_one_bad_file_does_not_end_the_others(child, project, tmp_path):
    model = trained(child, project)
    good, bad = tmp_path / "cells.ome.tif", tmp_path / "notes.tif"
    write_image(good, np.random.default_rng(0).random(SHAPE), spacing=(2, 1, 1), unit="um")
    bad.write_text("no image")
    out = tmp_path / "out"
    *reports, end = child.run(SegmentFiles("j3", files=(str(bad), str(good), str(good)), out=str(out), **model))
    assert end.result["files"] == [str(out / "cells_labels.tif"), str(out / "cells_labels-2.tif")]
    ((failed, why),) = end.result["failed"]
    assert failed == str(bad)
    assert "notes.tif" in why
    assert np.array_equal(read_labels(out / "cells_labels.tif"), np.ones(SHAPE))
    steps = [report.step for report in reports]
    assert steps == sorted(steps)
    assert steps[-1] == reports[-1].total


def test_suggested_slices_arrive_as_pairs(child, project):
    model = trained(child, project)
    *_, end = child.run(Suggest("j4", image=image_ids(project)[0], count=2, **model))
    assert end.result["slices"] == [[0, 0], [0, 1]]


def test_command_to_a_job_that_is_over_is_not_obeyed_by_the_next(child, project):
    child.run(training(project))
    child.say(Stop())
    *_, end = child.run(training(project))
    assert end.result["stopped"] is False


def test_child_leaves_after_a_job_when_nothing_more_is_asked(project, log):
    peer = Peer(SCRIPTED, log=log, WEAK3D_TEST_IDLE_S="0")
    *_, end = peer.run(training(project))
    assert isinstance(end, Finished)
    assert peer.process.wait(LIMIT_S) == 0


def test_child_keeps_the_model_and_leaves_when_the_app_is_gone(project, log, tmp_path):
    folder = tmp_path / "previews"
    folder.mkdir()
    peer = Peer([*SCRIPTED, str(folder)], log=log)
    peer.say(training(project, steps=0), PreviewSlice((0, 0)))
    peer.hear(Shown)
    assert peer.end() == 0
    assert (project.folder / "models" / "aaaa" / "model.json").exists()
    assert not folder.exists()


def test_step_that_never_ends_is_ended_when_the_app_is_gone(project, log):
    peer = Peer(SCRIPTED, log=log, WEAK3D_TEST_CHECKPOINT_S="0.5")
    peer.say(training(project, "hang"))
    peer.hear(Advanced)
    assert peer.end() != 0


PARENT = """
import subprocess, sys
child = subprocess.Popen(sys.argv[1:], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
child.stdin.write(sys.stdin.readline().encode())
child.stdin.flush()
for line in child.stdout:
    if b'"training"' in line:
        print("it trains", flush=True)
        break
else:
    sys.exit("the child has ended")
sys.stdin.read()
"""


def within_limit(call):
    """What a call returns; one that hangs fails the test."""
    answers = queue.SimpleQueue()
    threading.Thread(target=lambda: answers.put(call()), daemon=True).start()
    return answers.get(timeout=LIMIT_S)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="kill -9 is POSIX")
def test_no_child_survives_a_parent_that_is_killed(project):
    parent = subprocess.Popen(
        [sys.executable, "-P", "-c", PARENT, *SCRIPTED],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
    )
    try:
        parent.stdin.write(encode(training(project, steps=0)) + "\n")
        parent.stdin.flush()
        assert within_limit(parent.stdout.readline) == "it trains\n"
    finally:
        parent.kill()
    # Both write to this pipe: it ends when the last of them has.
    within_limit(parent.stderr.read)
    assert (project.folder / "models" / "aaaa" / "model.json").exists()
    parent.wait()


def test_real_method_trains_previews_and_segments(project, log):
    peer = Peer(REAL, log=log)
    settings = {"width": 4, "levels": 2, "members": 1, "patch": 32, "pixels": 1024, "steps": 3, "device": "cpu"}
    image = image_ids(project)[0]
    peer.say(Train("j1", str(project.folder), (image,), "slices", "bbbb", settings), PreviewSlice((0, 2)))
    shown = peer.hear(Shown)
    assert np.load(shown.file).shape == SHAPE[1:]
    assert peer.hear(Finished).result["model"] == "bbbb"
    *_, end = peer.run(Segment("j2", str(project.folder), image, "bbbb"))
    prediction = read_prediction(project.folder / "predictions" / end.result["prediction"])
    assert prediction.labels.shape == SHAPE
    assert peer.end() == 0
