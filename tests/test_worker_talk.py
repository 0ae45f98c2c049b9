"""The child's parts: what a job is told, how often it is heard, and when its paint is read anew."""

import io
import os
from dataclasses import dataclass, field, replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from napari_weak3d.errors import AnnotationError, StorageError
from napari_weak3d.messages import (
    Advanced,
    DeviceInfo,
    NewSamples,
    Pause,
    PreviewSlice,
    Resume,
    Shown,
    Stop,
    Suggest,
    WireError,
    decode,
    encode,
)
from napari_weak3d.samples import draw_boxes, paint_slices
from napari_weak3d.types import PaintClass, Preview, Progress, Sample, Volume
from napari_weak3d.worker import machine, serving
from napari_weak3d.worker.machine import fast_threads
from napari_weak3d.worker.talk import Talk
from napari_weak3d.worker.watch import AnnotationWatch
from napari_weak3d.worker.wire import Wire


@dataclass
class FakeWire:
    """Gives what is put into ``coming``, batch by batch, and keeps what is sent."""

    coming: list = field(default_factory=list)
    sent: list = field(default_factory=list)
    ended: bool = False

    def commands(self, *, wait):
        return self.coming.pop(0) if self.coming else []

    def send(self, message):
        self.sent.append(message)


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def wire():
    return FakeWire()


@pytest.fixture
def talk(wire, clock, tmp_path):
    return Talk(wire, job="j", folder=tmp_path, clock=clock)


def advance(talk, step, message="training"):
    talk.advance(Progress(step, 1000, message))


def told_steps(wire):
    return [report.step for report in wire.sent]


def test_of_several_slices_to_show_only_the_newest_counts(talk, wire):
    wire.coming = [[PreviewSlice((0, 1)), Pause(), PreviewSlice((0, 2))], [PreviewSlice((0, 3))]]
    assert [talk.next_command() for _ in range(3)] == [Pause(), PreviewSlice((0, 3)), None]


def test_stop_goes_before_all_others_and_is_said_until_the_job_ends(talk, wire):
    wire.coming = [[PreviewSlice((0, 1)), Pause(), Stop()]]
    assert [talk.next_command() for _ in range(3)] == [Stop()] * 3
    assert talk.stopped


def test_job_is_stopped_when_the_app_is_gone(talk, wire):
    wire.ended = True
    assert talk.next_command() == Stop()
    assert talk.should_end()


def test_job_that_knows_no_commands_waits_while_paused(talk, wire):
    wire.coming = [[Pause()], [PreviewSlice((0, 1))], [Resume()]]
    assert not talk.should_end()
    assert wire.coming == []


def test_pause_that_is_taken_back_holds_nothing(talk, wire):
    wire.coming = [[Pause(), Resume()], [Stop()]]
    assert not talk.should_end()
    assert wire.coming == [[Stop()]]


def test_paused_job_that_knows_no_commands_can_be_stopped(talk, wire):
    wire.coming = [[Pause()], [Stop()]]
    assert talk.should_end()


def test_reports_come_at_most_four_a_second(talk, wire, clock):
    for step in range(1000):
        clock.now = step / 1000
        advance(talk, step)
    assert len(wire.sent) == 4
    assert wire.sent[0].step == 0


def test_another_message_is_told_at_once(talk, wire):
    advance(talk, 1)
    advance(talk, 2, "scoring")
    assert [report.message for report in wire.sent] == ["training", "scoring"]


def test_last_report_is_told_though_it_came_too_soon(talk, wire):
    for step in (1, 2, 3):
        advance(talk, step)
    talk.flush()
    talk.flush()
    assert told_steps(wire) == [1, 3]


def test_report_held_back_is_void_once_a_later_one_is_told(talk, wire, clock):
    advance(talk, 1)
    advance(talk, 2)
    clock.now = 1.0
    advance(talk, 3)
    talk.flush()
    assert told_steps(wire) == [1, 3]


def test_standstill_is_told_once_a_second(talk, wire, clock):
    for tick in range(50):
        clock.now = tick / 10
        advance(talk, 7, "paused")
    assert len(wire.sent) == 5


def test_note_is_added_to_the_message(talk, wire):
    talk.advance(Progress(1, 2, "training"), note="too little paint")
    assert wire.sent == [Advanced("j", 1, 2, "training; too little paint")]


def test_preview_lies_in_its_file_when_it_is_told(talk, wire):
    labels = np.arange(6, dtype=np.int32).reshape(2, 3)
    talk.show(Preview((0, 4), labels, sample=1), images=("a", "b"))
    (shown,) = wire.sent
    assert (shown.slice, shown.image) == ((0, 4), "b")
    assert np.array_equal(np.load(shown.file), labels)


def test_boxes_of_a_preview_go_along(talk, wire):
    boxes = np.array([[[0, 1, 2], [3, 4, 5]]])
    talk.show(Preview((0, 4), np.zeros((2, 3), np.int32), boxes=boxes), images=("a",))
    assert decode(encode(wire.sent[0])).boxes == (((0, 1, 2), (3, 4, 5)),)


def test_preview_that_cannot_be_written_is_lost_and_nothing_else(wire, tmp_path):
    talk = Talk(wire, job="j", folder=tmp_path / "gone")
    talk.show(Preview((0, 4), np.zeros((2, 3), np.int32)), images=("a",))
    advance(talk, 1)
    assert not any(isinstance(message, Shown) for message in wire.sent)
    assert told_steps(wire) == [1]


SHAPE = (4, 8, 8)


class Painting:
    """An annotation that changes when a test says so; counts how often it is read."""

    def __init__(self, *images):
        labels = np.zeros(SHAPE, np.int32)
        labels[:, 2:5, 2:5] = 1
        image = np.random.default_rng(0).random((1, *SHAPE))
        self.samples = {name: Sample(Volume(image, name=name), paint_slices(labels)) for name in images}
        self.revisions = dict.fromkeys(images, 1)
        self.reads = []

    def read(self, image):
        self.reads.append(image)
        return self.samples[image]

    def change(self, image, **changed):
        old = self.samples[image]
        self.samples[image] = replace(old, annotation=replace(old.annotation, **changed))
        self.revisions[image] += 1

    def watch(self, clock):
        return AnnotationWatch(tuple(self.samples), read=self.read, revision=self.revisions.get, clock=clock)


@pytest.fixture
def painting():
    return Painting("a", "b")


@pytest.fixture
def watch(painting, clock):
    return painting.watch(clock)


def test_paint_that_stays_is_not_read_again(watch, painting, clock):
    clock.now = 2.0
    assert watch.news() is None
    assert painting.reads == ["a", "b"]


def test_new_paint_is_found_a_second_after_the_last_look(watch, painting, clock):
    painting.change("b", annotated=((0, 1),))
    clock.now = 0.9
    assert watch.news() is None
    clock.now = 1.0
    news = watch.news()
    assert isinstance(news, NewSamples)
    assert news.samples[1].annotation.annotated == ((0, 1),)
    clock.now = 2.0
    assert watch.news() is None
    assert painting.reads == ["a", "b", "b"]


def test_volumes_stay_those_that_were_opened_first(watch, painting, clock):
    opened = [sample.volume for sample in watch.samples]
    painting.samples["a"] = replace(painting.samples["a"], volume=Volume(np.zeros((1, *SHAPE)), name="a again"))
    painting.change("a", annotated=((0, 1),))
    clock.now = 1.0
    assert [sample.volume for sample in watch.news().samples] == opened


def test_wrong_paint_is_noted_and_the_old_stays_until_it_is_mended(watch, painting, clock):
    good = painting.samples["a"].annotation.classes
    painting.change("a", classes=(PaintClass(9, "other", background=True),))
    clock.now = 1.0
    assert watch.news() is None
    assert "what is new is not used yet" in watch.note
    painting.change("a", classes=good)
    clock.now = 2.0
    assert watch.news() is not None
    assert watch.note == ""


def test_paint_that_could_not_be_read_once_is_read_again(watch, painting, clock):
    painting.change("a", annotated=((0, 1),))
    read = watch._read
    watch._read = lambda image: (_ for _ in ()).throw(StorageError("the disk is slow"))
    clock.now = 1.0
    assert watch.news() is None
    watch._read = read
    clock.now = 2.0
    assert watch.news().samples[0].annotation.annotated == ((0, 1),)
    assert watch.note == ""


def test_paint_that_takes_long_to_learn_from_is_looked_for_less_often(watch, painting, clock):
    painting.change("a", annotated=((0, 1),))
    clock.now = 1.0
    assert watch.news() is not None
    painting.change("a", annotated=((0, 2),))
    for now in (11.0, 20.0, 30.0):  # it took 10 s
        clock.now = now
        assert watch.news() is None
    clock.now = 31.0
    assert watch.news() is not None


def test_wrong_paint_of_one_image_does_not_keep_that_of_another_from_being_used(watch, painting, clock):
    painting.change("a", classes=(PaintClass(9, "other", background=True),))
    painting.change("b", annotated=((0, 1),))
    clock.now = 1.0
    assert watch.news().samples[1].annotation.annotated == ((0, 1),)
    assert watch.note


def test_wrong_boxes_are_noted_and_the_old_ones_stay(painting, clock):
    boxed = draw_boxes(painting.samples["a"].annotation.labels, rng=np.random.default_rng(0))
    painting.samples["a"] = replace(painting.samples["a"], annotation=boxed)
    watch = painting.watch(clock)
    painting.change("a", corners=boxed.corners + np.array([0, 0, 6]))
    clock.now = 1.0
    assert watch.news() is None
    assert "box 1 reaches outside" in watch.note


def test_annotation_that_cannot_be_read_at_the_beginning_is_an_error(clock):
    painting = Painting("a")
    painting.read = lambda image: (_ for _ in ()).throw(AnnotationError("nothing is annotated"))
    with pytest.raises(AnnotationError):
        painting.watch(clock)


def test_threads_are_all_there_again_after_a_job():
    most = torch.get_num_threads()
    with fast_threads():
        assert 1 <= torch.get_num_threads() <= most
    assert torch.get_num_threads() == most


class Piped:
    """A wire over pipes: lines go in, and the reports that came out."""

    def __init__(self):
        reading, self._writing = os.pipe()
        self.out = io.StringIO()
        self.ends = []
        self.wire = Wire(os.fdopen(reading), self.out, on_end=self.ends.append)

    def write(self, text):
        os.write(self._writing, text.encode())

    def close(self):
        os.close(self._writing)


def test_request_is_found_behind_junk_and_stale_commands():
    pipe = Piped()
    request = Suggest("j", "/p", "a", "m", 1)
    pipe.write("junk\n" + encode(Stop()) + "\n" + encode(request) + "\n")
    assert pipe.wire.next_request(within_s=None) == request
    assert pipe.wire.commands(wait=False) == []
    pipe.close()


def test_no_request_in_time_is_none():
    pipe = Piped()
    assert pipe.wire.next_request(within_s=0) is None
    assert not pipe.wire.ended
    pipe.close()


def test_end_of_the_input_ends_the_waiting():
    pipe = Piped()
    pipe.close()
    assert pipe.wire.next_request(within_s=None) is None
    assert pipe.wire.commands(wait=True) == []
    assert pipe.wire.ended


def test_request_that_comes_during_a_job_is_served_after_it():
    pipe = Piped()
    request = Suggest("j", "/p", "a", "m", 1)
    pipe.write(encode(request) + "\n" + encode(Stop()) + "\n")
    assert pipe.wire.commands(wait=True) == [Stop()]
    assert pipe.wire.next_request(within_s=None) == request
    pipe.close()


def test_child_that_served_nothing_stays_and_one_that_served_leaves(monkeypatch, tmp_path):
    waits = []
    requests = [Suggest("j", "/p", "a", "m", 1), None]

    def next_request(*, within_s):
        waits.append(within_s)
        return requests.pop(0)

    monkeypatch.setattr(serving.tasks, "run", lambda request, talk: {})
    wire = SimpleNamespace(next_request=next_request, send=lambda message: None, ended=False)
    serving.serve(wire, folder=tmp_path)
    assert waits[0] is None
    assert 0 < waits[1] < 60


def test_value_of_an_error_that_is_too_much_for_a_message_is_shortened(monkeypatch, tmp_path):
    def run(request, talk):
        raise WireError("too much", value=np.zeros(10_000))

    sent = []
    monkeypatch.setattr(serving.tasks, "run", run)
    requests = [Suggest("j", "/p", "a", "m", 1), None]
    wire = SimpleNamespace(next_request=lambda within_s: requests.pop(0), send=sent.append, ended=False)
    serving.serve(wire, folder=tmp_path)
    assert len(encode(sent[0])) < 1000


def test_driver_names_the_gpus_that_are_visible(monkeypatch):
    asked = []

    def run(command, **settings):
        asked.append(command)
        return SimpleNamespace(stdout="NVIDIA A100, 40GB, 40960\n")

    monkeypatch.setattr(machine.subprocess, "run", run)
    monkeypatch.setattr(machine.torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(machine.torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(machine.torch.version, "cuda", "13.0")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2")
    assert machine.greet().devices[0] == DeviceInfo("cuda", "NVIDIA A100, 40GB", 40960 * 2**20)
    assert "--id=2" in asked[0]


def test_gpu_that_the_driver_does_not_name_is_listed_without_memory(monkeypatch):
    monkeypatch.setattr(machine.torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(machine.torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(machine.torch.version, "cuda", None)
    first, last = machine.greet().devices
    assert first == DeviceInfo("cuda", "GPU", None)
    assert last.kind == "cpu"
