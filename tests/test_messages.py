"""The wire: what is sent arrives as it was, and what is no message is refused."""

import math

import numpy as np
import pytest

from napari_weak3d.errors import Weak3DError
from napari_weak3d.messages import (
    Advanced,
    DeviceInfo,
    Failed,
    Finished,
    Hello,
    NewSamples,
    Pause,
    PreviewSlice,
    Resume,
    Segment,
    SegmentFiles,
    Shown,
    Stop,
    Suggest,
    Train,
    WireError,
    decode,
    encode,
)

ALL = [
    Stop(),
    Pause(),
    Resume(),
    PreviewSlice((2, 17), sample=3),
    Train("j1", "/p r/ö", ("a", "b"), "slices", "m", {"minutes": 2.5, "patch": (8, 8, 8), "device": "cpu"}, "old"),
    Segment("j2", "/p", "a", "m", {"threshold": 0.4}),
    SegmentFiles("j3", "/p", "m", ("/x/1.tif", "/x/2.tif"), "/out", {}),
    Suggest("j4", "/p", "a", "m", 3),
    Hello("0.1", "2.15.0+cpu", (DeviceInfo("cuda", "A card", 2**35), DeviceInfo("cpu", "x86"))),
    Advanced("j1", 3, 10, "two\nlines", {"loss": 0.25, "dice": 1.0}, 12.5),
    Shown("j1", (0, 4), "a", "/tmp/x.npy"),
    Shown("j1", (0, 4), "a", "/tmp/x.npy", (((0, 1, 2), (3, 4, 5)),)),
    Finished("j1", {"model": "m", "metrics": {"dice": 0.5}, "stopped": True}),
    Failed("j1", "AnnotationError", "nothing is painted", "labels", 3, "tail\n"),
]


@pytest.mark.parametrize("message", ALL, ids=lambda message: type(message).__name__)
def test_message_arrives_as_it_was_sent(message):
    arrived = decode(encode(message))
    if isinstance(message, Train):  # settings are free-form: a tuple becomes a list there
        assert arrived.settings.pop("patch") == [8, 8, 8]
        assert message.settings.pop("patch") == (8, 8, 8)
    assert arrived == message


@pytest.mark.parametrize("message", ALL, ids=lambda message: type(message).__name__)
def test_message_is_one_line_of_ascii(message):
    line = encode(message)
    assert line.isascii()
    assert line.splitlines() == [line]


def test_metric_that_is_no_number_travels_as_null_and_arrives_as_nan():
    line = encode(Advanced("j", 1, 2, metrics={"loss": math.nan, "grown": math.inf}, seconds_left=math.inf))
    assert line.count("null") == 3
    arrived = decode(line)
    assert all(math.isnan(value) for value in arrived.metrics.values())
    assert arrived.seconds_left is None


def test_numpy_numbers_and_paths_in_a_result_become_plain(tmp_path):
    result = {"a": np.float32(0.5), "b": np.int64(3), "c": np.array([1, 2]), "d": tmp_path, "e": np.float64("nan")}
    assert decode(encode(Finished("j", result))).result == {
        "a": 0.5,
        "b": 3,
        "c": [1, 2],
        "d": str(tmp_path),
        "e": None,
    }


JUNK = [
    "",
    "torch: warning",
    "[]",
    "3",
    "null",
    "{}",
    '{"type": "NoSuch"}',
    '{"type": []}',
    '{"type": "NewSamples", "samples": []}',
    '{"type": "PreviewSlice", "slice": [1]}',
    '{"type": "PreviewSlice", "slice": ["0", "1"]}',
    '{"type": "Advanced", "job": "j", "step": 1.5, "total": 2}',
    '{"type": "Finished", "result": {}}',
    "[" * 100_000,
]


@pytest.mark.parametrize("line", JUNK, ids=lambda line: line[:40])
def test_line_that_is_no_message_is_refused_as_a_wire_error(line):
    with pytest.raises(WireError, match="not a message"):
        decode(line)


def test_wire_error_is_one_of_ours():
    assert issubclass(WireError, Weak3DError)


def test_arrays_of_samples_never_go_between_processes():
    with pytest.raises(WireError, match="NewSamples"):
        encode(NewSamples(()))
