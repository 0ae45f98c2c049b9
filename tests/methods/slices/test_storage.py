"""Model folders that are not whole: each says what is wrong with which model, and nothing is unpickled."""

import json
import pickle
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from napari_weak3d.errors import ModelError, StorageError
from napari_weak3d.io.models import SCHEMA
from napari_weak3d.methods.slices.storage import read_model, write_model
from napari_weak3d.nn.checkpoint import identify
from napari_weak3d.types import Volume

pytestmark = pytest.mark.slow


@pytest.fixture
def model(trained, tmp_path):
    """A copy of a trained model, to be spoiled."""
    return Path(shutil.copytree(trained, tmp_path / "my-model"))


def edit(model, **changed):
    file = model / "model.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **changed}))


def refused(model):
    """What is said of a model, which names it."""
    with pytest.raises(ModelError) as error:
        read_model(model)
    assert "my-model" in str(error.value)
    assert "my-model" in error.value.where
    return str(error.value)


def test_what_is_written_is_read_back(model):
    stored = read_model(model)
    write_model(model, stored)
    again = read_model(model)
    for name in ("config", "scheme", "calibration", "summary", "resume", "fraction"):
        assert getattr(again, name) == getattr(stored, name)
    for before, after in zip(stored.weights, again.weights, strict=True):
        assert before.keys() == after.keys()
        assert all(torch.equal(before[name], after[name]) for name in before)
    np.testing.assert_array_equal(again.paint[0].slices.labels, stored.paint[0].slices.labels)
    assert again.paint[0].slices.annotated == stored.paint[0].slices.annotated


def test_the_greys_of_the_training_volumes_are_recorded(model, cells):
    (known,) = read_model(model).paint
    assert known.greys == (tuple(np.percentile(cells.data, (1, 50, 90)).tolist()),)


def test_a_model_without_greys_is_read(model):
    described = json.loads((model / "model.json").read_text())
    del described["paint"][0]["greys"]
    edit(model, paint=described["paint"])
    assert read_model(model).paint[0].greys == ()


@pytest.mark.parametrize("name", ["model.json", "weights.safetensors", "paint.npz"])
def test_a_missing_file_is_named(model, name):
    (model / name).unlink()
    assert name in refused(model)


@pytest.mark.parametrize("name", ["model.json", "weights.safetensors", "paint.npz"])
@pytest.mark.parametrize("share", [0, 0.5, 0.9])
def test_a_truncated_file_is_damaged(model, name, share):
    content = (model / name).read_bytes()
    (model / name).write_bytes(content[: int(share * len(content))])
    assert "damaged" in refused(model)


@pytest.mark.parametrize("name", ["weights.safetensors", "paint.npz"])
def test_a_foreign_file_is_damaged(model, name):
    (model / name).write_bytes(b"something else altogether, " * 20)
    assert "damaged" in refused(model)


def test_a_newer_model_asks_for_an_update(model):
    edit(model, schema=SCHEMA + 1, version="9.9")
    assert "newer version (9.9): update" in refused(model)


@pytest.mark.parametrize("key", ["config", "scheme", "calibration", "paint", "summary", "fraction"])
def test_a_part_that_is_missing_in_the_description_is_damage(model, key):
    described = json.loads((model / "model.json").read_text())
    del described[key]
    (model / "model.json").write_text(json.dumps(described))
    assert "damaged" in refused(model)


@pytest.mark.parametrize("changed", [{"scheme": []}, {"config": {"width": "wide"}}, {"fraction": "half"}, {"paint": 3}])
def test_a_part_that_is_garbled_in_the_description_is_damage(model, changed):
    edit(model, **changed)
    assert "damaged" in refused(model)


@pytest.mark.parametrize(
    ("part", "changed", "words"),
    [
        ("scheme", {"stack_axis": 7}, r"cannot be \(stack_axis 7\)"),
        ("scheme", {"spacing": [1, 0, 1]}, "y spacing of model.json is 0"),
        ("scheme", {"channels": 0}, r"cannot be \(channels 0\)"),
        ("calibration", {"biases": [0, 0, 0, 0, 0]}, "cannot be .5 biases for"),
        ("scheme", {"channels": "x"}, r"cannot be \(channels 'x'\)"),
        ("scheme", {"classes": 3}, "has a part of another kind"),
        ("scheme", {"spacing": ["a", 1, 1]}, r"spacing of model.json is \('a', 1, 1\): give three numbers"),
        ("calibration", {"biases": ["a", "b"]}, r"cannot be \(biases \['a', 'b'\]\)"),
        ("calibration", {"biases": [0, float("nan")]}, r"cannot be \(biases \[0, nan\]\)"),
        ("calibration", {"paint_weight": "much"}, r"cannot be \(paint_weight 'much'\)"),
        ("config", {"widht": 8}, "unknown setting 'widht': did you mean 'width'?"),
        ("config", {"width": 5}, "setting width = 5"),
        ("paint", {"annotated": [[0, 99]]}, r"cannot be .annotated \[0, 99\]"),
        ("paint", {"annotated": [[3, 0]]}, r"cannot be .annotated \[3, 0\]"),
    ],
)
def test_a_number_that_cannot_be_is_named_in_one_line(model, part, changed, words):
    described = json.loads((model / "model.json").read_text())
    inside = described[part][0] if part == "paint" else described[part]
    inside.update(changed)
    edit(model, **described)
    said = refused(model)
    assert re.search(words, said)
    assert "\n" not in said
    assert "http" not in said


def test_a_class_whose_value_is_no_number_is_named(model):
    scheme = json.loads((model / "model.json").read_text())["scheme"]
    scheme["classes"][1]["value"] = "x"
    edit(model, scheme=scheme)
    assert "cannot be (class value 'x')" in refused(model)


def test_weights_that_are_not_finite_are_damage(model):
    weights = load_file(model / "weights.safetensors")
    name = next(name for name, tensor in weights.items() if tensor.is_floating_point())
    weights[name].view(-1)[0] = torch.nan
    save_file(weights, model / "weights.safetensors")
    assert f"{name} holds NaN or infinity; train it anew" in refused(model)


def test_numpys_advice_to_unpickle_is_not_passed_on(model):
    (model / "paint.npz").write_bytes(pickle.dumps(3))
    assert "allow_pickle" not in refused(model)


@pytest.mark.parametrize("tensors", [{"something": torch.zeros(2)}, {"a.b": torch.zeros(2)}, {}])
def test_weights_of_something_else_are_refused(model, tensors):
    save_file(tensors, model / "weights.safetensors")
    refused(model)


class Bomb:
    """Leaves a trace where it is unpickled."""

    def __init__(self, trace):
        self.trace = trace

    def __reduce__(self):
        return Path.touch, (self.trace,)


@pytest.mark.parametrize("name", ["weights.safetensors", "paint.npz", "model.json"])
def test_nothing_is_unpickled(model, name, tmp_path):
    trace = tmp_path / "exploded"
    if name == "paint.npz":
        np.savez(model / name, labels_0=np.array([Bomb(trace)], dtype=object))
    else:
        (model / name).write_bytes(pickle.dumps(Bomb(trace)))
    refused(model)
    assert not trace.exists()
    pickle.loads(pickle.dumps(Bomb(trace)))
    assert trace.exists()  # it would have


def test_a_folder_that_cannot_be_made_is_told_in_plain_words(trained, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match="file"):
        write_model(tmp_path / "file" / "model", read_model(trained))


def test_a_volume_is_told_by_shape_and_values_not_by_name_or_type():
    data = np.arange(24, dtype=np.uint8).reshape(1, 2, 3, 4)
    one = identify(Volume(data))
    assert identify(Volume(data.astype(np.float64), (3.0, 1.0, 1.0), name="other")) == one
    assert identify(Volume(data.reshape(1, 3, 2, 4))) != one
    changed = data.copy()
    changed[0, 1, 2, 3] += 1
    assert identify(Volume(changed)) != one
