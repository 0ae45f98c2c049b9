"""The description that every model folder has."""

import errno
import json
import os
import sys
from pathlib import Path

import pytest

from napari_weak3d.errors import ModelError, StorageError
from napari_weak3d.io.models import MIGRATIONS, MODEL, SCHEMA, check_model_out, migrate, read_description, read_method


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "nuclei").mkdir()
    return tmp_path / "nuclei"


def write(folder, content):
    (folder / MODEL).write_text(content, encoding="utf-8")


def test_the_method_is_read(folder):
    write(folder, json.dumps({"schema": SCHEMA, "method": "slices", "config": {"width": 8}}))
    assert read_method(folder) == "slices"
    assert read_description(folder)["config"] == {"width": 8}


def refused(folder):
    with pytest.raises(ModelError) as error:
        read_description(folder)
    assert "nuclei" in str(error.value)
    assert error.value.where == str(folder)
    return str(error.value)


def test_a_folder_without_a_description_is_not_a_model(folder):
    assert "is not a model: it has no model.json" in refused(folder)


def test_a_folder_that_is_not_there_is_not_a_model(folder):
    folder.rmdir()
    assert "is not a model" in refused(folder)


@pytest.mark.parametrize("content", ["", "{", "\x00\x01", '{"schema": 1, "meth', "[" * 100_000])
def test_a_truncated_description_is_damage(folder, content):
    write(folder, content)
    assert "damaged" in refused(folder)


def test_a_description_that_is_no_text_is_damage(folder):
    (folder / MODEL).write_bytes(b"\xff\xfe\x80\x81")
    assert "damaged" in refused(folder)


@pytest.mark.parametrize(
    "content", ["[]", "3", "{}", '{"schema": 1}', '{"method": "slices"}', '{"schema": "1", "method": "slices"}']
)
def test_another_programs_json_is_no_model_of_ours(folder, content):
    write(folder, content)
    assert "does not describe a model of napari-weak3d" in refused(folder)


def test_a_newer_model_asks_for_an_update(folder):
    write(folder, json.dumps({"schema": SCHEMA + 1, "method": "slices", "version": "7.0"}))
    assert "newer version (7.0): update napari-weak3d" in refused(folder)


OLD = {"schema": 1, "method": "slices", "width": 8}


def test_an_old_description_is_brought_up_to_date_step_by_step():
    steps = {
        1: lambda old: {**old, "config": {"width": old["width"]}},
        2: lambda old: {name: value for name, value in old.items() if name != "width"},
    }
    assert migrate(OLD, to=3, steps=steps) == {"schema": 3, "method": "slices", "config": {"width": 8}}
    assert OLD == {"schema": 1, "method": "slices", "width": 8}


def test_a_description_of_the_current_schema_stays_as_it_is():
    assert migrate(OLD, to=1, steps={}) == OLD


def test_a_schema_that_never_was_is_refused(folder):
    with pytest.raises(ModelError, match="schema 2, which no version has written"):
        migrate(OLD, to=3, steps={1: dict})
    write(folder, json.dumps({"schema": 0, "method": "slices"}))
    with pytest.raises(ModelError, match="schema 0, which no version"):
        read_description(folder)


def test_there_is_a_step_from_every_older_schema():
    assert set(MIGRATIONS) == set(range(1, SCHEMA))


def test_a_file_in_the_place_of_the_folder_is_told(tmp_path):
    (tmp_path / "nuclei").touch()
    refused(tmp_path / "nuclei")


@pytest.mark.parametrize("left", [[], ["log.csv", "paint.npz"], [".12-34-weights.safetensors"]])
def test_a_model_may_go_where_nothing_or_a_training_is(folder, left):
    for name in left:
        (folder / name).touch()
    check_model_out(folder, method="slices")
    check_model_out(folder / "new" / "deep", method="slices")
    assert not (folder / "new").exists()
    assert sorted(file.name for file in folder.iterdir()) == sorted(left)


def test_a_model_may_go_where_a_model_is_also_beside_notes(folder):
    write(folder, json.dumps({"schema": SCHEMA + 1, "method": "slices"}))
    (folder / "notes.txt").touch()
    check_model_out(folder, method="slices")


@pytest.mark.parametrize("content", ['{"format": "layers-model"}', '{"schema": 1}', "[]", "", "[" * 100_000])
def test_a_model_may_not_go_where_another_programs_model_is(folder, content):
    write(folder, content)
    with pytest.raises(StorageError, match=r"the model.json in it is none of napari-weak3d's: name a new folder"):
        check_model_out(folder, method="slices")


@pytest.mark.parametrize("foreign", ["notes.txt", ".12-34-notes.txt", "log.csv.bak"])
def test_a_model_may_not_go_where_other_things_are(folder, foreign):
    (folder / foreign).touch()
    (folder / "log.csv").touch()
    with pytest.raises(StorageError, match=rf"nuclei.*other things than a model \({foreign}\): name a new folder"):
        check_model_out(folder, method="slices")
    with pytest.raises(StorageError, match=rf"{foreign} is a file"):
        check_model_out(folder / foreign, method="slices")


def test_a_model_may_not_go_where_one_of_another_method_is(folder):
    write(folder, json.dumps({"schema": SCHEMA, "method": "slices"}))
    with pytest.raises(StorageError, match=r"nuclei: it holds a model of slices: name a new folder"):
        check_model_out(folder, method="boxes")


def test_a_folder_whose_name_is_too_long_is_told_at_once(tmp_path):
    with pytest.raises(StorageError, match="the name is too long: choose a shorter one"):
        check_model_out(tmp_path / "deep" / ("m" * 300), method="slices")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(sys.platform != "linux", reason="a place where nobody, root included, can make a folder")
def test_a_place_where_no_folder_can_be_made_is_told_at_once():
    with pytest.raises(StorageError, match=r"no model can go into /proc/model: .*choose another place"):
        check_model_out(Path("/proc/model"), method="slices")


def test_a_folder_that_takes_no_file_is_told_at_once(folder, monkeypatch):
    def touch(path):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(path))

    monkeypatch.setattr(Path, "touch", touch)
    with pytest.raises(StorageError, match="the file system is read-only: choose another place"):
        check_model_out(folder / "new" / "deep", method="slices")
    assert list(folder.iterdir()) == []
