"""A project folder: what is put in comes back, it can be moved, and only one process writes."""

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from napari_weak3d.errors import AnnotationError, ModelError, StorageError, VolumeError
from napari_weak3d.io.project import (
    CentroidsState,
    Project,
    SlicesState,
    default_project_folder,
    describe_file,
    new_id,
    read_project_image,
    read_project_sample,
    read_settings,
    recent_projects,
)
from napari_weak3d.io.volumes import write_image

SHAPE = (6, 20, 30)


def square(value):
    plane = np.zeros(SHAPE[1:], np.int32)
    plane[2:6, 3:7] = value
    return plane


# what is put in comes back


def test_an_image_comes_back_after_closing(project, image):
    project.close()
    with Project.open(project.folder) as again:
        assert again.images == (image,)
        assert again.image(image.id) == image
        assert again.name == "Nuclei"


def test_the_image_is_read_with_the_spacing_that_the_user_settled(project, image):
    project.replace_image(replace(image, spacing=(3.0, 1.0, 1.0), name="renamed"))
    volume = read_project_image(project.folder, image.id)
    assert (volume.spacing, volume.unit, volume.name, volume.shape) == ((3.0, 1.0, 1.0), "um", "renamed", SHAPE)
    np.testing.assert_array_equal(np.asarray(volume.data)[0], np.arange(np.prod(SHAPE)).reshape(SHAPE))


def test_a_sample_is_the_image_with_its_annotation_and_region(project, image, store, state):
    store.write(state, {2: square(2)})
    sample = read_project_sample(project.folder, image.id)
    assert sample.region == state.region
    assert sample.annotation.annotated == state.annotated
    assert int((sample.annotation.labels == 2).sum()) == 16
    assert sample.volume.shape == SHAPE


def test_a_sample_without_paint_says_what_to_do(project, image):
    with pytest.raises(AnnotationError, match="paint a slice first"):
        read_project_sample(project.folder, image.id)


def test_clicks_and_paint_of_one_image_lie_side_by_side(project, image, store, state):
    store.write(state, {2: square(2)})
    assert project.annotated(image.id) == ("slices",)
    clicked = CentroidsState(((1.0, 2.5, 3.0), (4.0, 5.0, 6.25)), region=((0, 5), (1, 9), (2, 8)), effort_s=7.0)
    clicks = project.annotations(image.id, "centroids")
    assert clicks.write(clicked, {}) == 1
    assert clicks.write(clicked, {}) == 1
    assert clicks.state() == clicked
    assert project.annotated(image.id) == ("centroids", "slices")
    sample = read_project_sample(project.folder, image.id, kind="centroids")
    np.testing.assert_array_equal(sample.annotation.points_vox, clicked.points_vox)
    assert sample.region == clicked.region
    assert int((store.read().labels == 2).sum()) == 16
    store.write(state, {2: square(1)})
    assert clicks.read() is not None
    assert project.annotated(image.id)[0] == "slices"


def test_a_sample_without_clicks_says_what_to_do(project, image, store, state):
    store.write(state, {2: square(2)})
    with pytest.raises(AnnotationError, match="click some cells first"):
        read_project_sample(project.folder, image.id, kind="centroids")


def test_the_same_name_twice_is_two_images(project, raw):
    first, second = project.add_image(describe_file(raw)), project.add_image(describe_file(raw))
    assert first.name == second.name
    assert first.id != second.id
    project.annotations(first.id).write(SlicesState(), {2: square(1)})
    assert project.annotations(second.id).read() is None


def test_an_id_cannot_be_taken_twice_nor_lead_out_of_the_folder(project, image):
    with pytest.raises(VolumeError, match="taken"):
        project.add_image(image)
    with pytest.raises(VolumeError, match="none"):
        project.add_image(replace(image, id="../up"))
    with pytest.raises(StorageError, match="no id"):
        project.prediction_folder("../up")
    with pytest.raises(VolumeError, match="has no image"):
        read_project_image(project.folder, "abcd1234")


def test_an_annotated_image_cannot_become_one_of_another_shape(project, image, store, tmp_path):
    other = tmp_path / "other.tif"
    write_image(other, np.ones((6, 20, 31)), spacing=(1, 1, 1), unit="um")
    changed = replace(describe_file(other), id=image.id)
    store.write(SlicesState(), {2: square(1)})
    with pytest.raises(AnnotationError, match="add it as an image of its own"):
        project.replace_image(changed)
    assert project.image(image.id) == image


def test_a_moved_project_works_and_one_moved_with_its_images_too(project, image, raw, tmp_path, store):
    store.write(SlicesState(), {2: square(1)})
    project.close()
    alone = tmp_path / "far" / "away" / "project"
    shutil.copytree(project.folder, alone)
    assert read_project_sample(alone, image.id).volume.shape == SHAPE

    together = tmp_path / "together"
    together.mkdir()
    shutil.move(project.folder, together / "project")
    shutil.move(raw.parent, together / "data")
    with Project.open(together / "project") as moved:
        assert moved.check_source(image.id) == "moved"
        assert read_project_sample(moved.folder, image.id).annotation.labels.any()
        settled = moved.replace_image(replace(moved.image(image.id), path=str(together / "data" / "raw.tif")))
        assert settled.relative_path == "../data/raw.tif"
        assert moved.check_source(image.id) == "same"


# folders that cannot be, or cannot be written to


def test_a_folder_that_holds_something_is_not_taken(tmp_path, project):
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "a.txt").write_text("mine")
    with pytest.raises(StorageError, match="not empty"):
        Project.create(tmp_path / "notes")
    with pytest.raises(StorageError, match="already: open it"):
        Project.create(project.folder)
    assert [file.name for file in (tmp_path / "notes").iterdir()] == ["a.txt"]


def test_opening_what_is_no_project_leaves_it_as_it_was(tmp_path):
    (tmp_path / "a.txt").write_text("mine")
    with pytest.raises(StorageError, match=r"no project: it has no project\.json"):
        Project.open(tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == ["a.txt"]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("{", "restore it from a copy"),
        ("[]", "no schema number"),
        ('{"schema": 99}', "update napari-weak3d"),
        ('{"schema": 1, "name": "x", "images": {"a": 3}, "models": {}}', r"images\.a"),
    ],
)
def test_a_damaged_project_says_what_is_wrong(project, content, words):
    project.close()
    (project.folder / "project.json").write_text(content)
    with pytest.raises(StorageError, match=words):
        Project.open(project.folder)


def test_a_read_only_folder_opens_and_says_why(project, image, monkeypatch):
    project.close()

    def refuse(*_arguments, **_named):
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr("filelock.FileLock.acquire", refuse)
    with Project.open(project.folder) as opened:
        assert opened.read_only
        assert opened.locked_by == ""
        assert "cannot be written to (read-only file system)" in opened.read_only_reason
        assert opened.images == (image,)
        with pytest.raises(StorageError, match="cannot be written to"):
            opened.annotations(image.id).write(SlicesState(), {2: square(1)})


def test_a_full_disk_changes_nothing(project, image, monkeypatch):
    def full(*_arguments):
        raise OSError(errno.ENOSPC, "no space")

    with monkeypatch.context() as patched:
        patched.setattr(os, "replace", full)
        with pytest.raises(StorageError, match="disk is full"):
            project.replace_image(replace(image, name="renamed"))
    assert project.image(image.id).name == image.name
    project.close()
    with Project.open(project.folder) as again:
        assert again.image(image.id).name == image.name


# one writes


def test_the_second_to_open_may_only_look_and_is_told_who_writes(project, image, raw):
    with Project.open(project.folder) as second:
        assert second.read_only
        assert "another window of this napari" in second.locked_by
        assert second.locked_by in second.read_only_reason
        writes = [
            lambda: second.add_image(describe_file(raw)),
            lambda: second.replace_image(image),
            lambda: second.add_model("a", method="slices", images=()),
            lambda: second.store_volume(read_project_image(project.folder, image.id)),
            lambda: second.delete_prediction(new_id()),
            lambda: second.annotations(image.id).write(SlicesState(), {2: square(1)}),
        ]
        for write in writes:
            with pytest.raises(StorageError, match="open for writing by"):
                write()
        project.replace_image(replace(image, name="renamed"))
        assert second.images[0].name != "renamed"
        second.reload()
        assert second.images[0].name == "renamed"


def test_after_closing_the_next_may_write_and_the_first_no_more(project, raw, store):
    project.close()
    with Project.open(project.folder) as second:
        assert not second.read_only
        second.add_image(describe_file(raw))
        with pytest.raises(StorageError, match="is closed"):
            project.add_image(describe_file(raw))
        with pytest.raises(StorageError, match="is closed"):
            store.write(SlicesState(), {2: square(1)})


_HOLDER = """
import sys
from napari_weak3d.io.project import Project
project = Project.open(sys.argv[1])
print(project.read_only, flush=True)
sys.stdin.read()
"""


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="no SIGKILL")
def test_a_killed_process_lets_go_of_the_project(project):
    project.close()
    command = [sys.executable, "-c", _HOLDER, str(project.folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout.readline() == "False\n"
        with Project.open(project.folder) as second:
            assert f"process {holder.pid}" in second.locked_by
        holder.send_signal(signal.SIGKILL)
    with Project.open(project.folder) as third:
        assert not third.read_only
        owner = json.loads((project.folder / ".owner.json").read_text())
        assert owner["pid"] == os.getpid()


def test_what_was_left_half_written_is_cleared_when_it_is_old(project):
    project.close()
    half = [project.folder / "predictions" / f".{number}-1-abcd1234" for number in (1, 2)]
    for folder in half:
        folder.mkdir(parents=True)
        (folder / "labels.npy").write_bytes(b"half")
    os.utime(half[0], (1, 1))
    with Project.open(project.folder):
        assert [folder.exists() for folder in half] == [False, True]


# models


@pytest.fixture
def trained(tmp_path):
    """A folder that looks like a model, stopped half-way."""
    folder = tmp_path / "good model"
    folder.mkdir()
    described = {"schema": 1, "method": "slices", "summary": {"steps": 9, "held_out_iou": 0.75}, "fraction": 0.5}
    (folder / "model.json").write_text(json.dumps(described))
    (folder / "weights.safetensors").write_bytes(b"123")
    (folder / "resume.safetensors").write_bytes(b"456")
    return folder


def test_a_model_has_a_place_before_it_is_trained_and_a_score_after(project, image, trained):
    entry = project.add_model("first", method="slices", images=(image.id,))
    assert (entry.trained, entry.held_out, entry.unfinished) == (False, None, False)
    assert not project.model_folder(entry.id).exists()
    shutil.copytree(trained, project.model_folder(entry.id))
    found = project.models[0]
    assert (found.trained, found.held_out, found.unfinished) == (True, 0.75, True)
    assert (found.id, found.name, found.images) == (entry.id, "first", (image.id,))
    (project.model_folder(entry.id) / "resume.safetensors").unlink()
    assert not project.model(entry.id).unfinished


def test_a_model_tells_the_settings_that_it_was_trained_with(trained):
    assert read_settings(trained) == {}
    file = trained / "model.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "config": {"width": 8}}))
    assert read_settings(trained) == {"width": 8}


def test_a_model_goes_out_and_comes_in_as_folder_and_as_zip(project, trained, tmp_path):
    entry = project.import_model(trained)
    assert (entry.name, entry.method, entry.held_out) == ("good model", "slices", 0.75)
    project.export_model(entry.id, tmp_path / "out")
    project.export_model(entry.id, tmp_path / "out.zip")
    for source in ("out", "out.zip"):
        again = project.import_model(tmp_path / source)
        assert (again.name, again.held_out) == ("out", 0.75)
        assert again.id != entry.id
        files = {file.name: file.read_bytes() for file in project.model_folder(again.id).iterdir()}
        assert files == {file.name: file.read_bytes() for file in trained.iterdir()}


def test_renaming_and_removing_a_model(project, trained):
    entry = project.import_model(trained)
    assert project.rename_model(entry.id, "best").name == "best"
    project.remove_model(entry.id)
    assert project.models == ()
    assert list((project.folder / "models").iterdir()) == []
    with pytest.raises(ModelError, match="has no model"):
        project.rename_model(entry.id, "again")


def test_what_is_no_model_is_not_taken(project, tmp_path, trained):
    (tmp_path / "empty").mkdir()
    (tmp_path / "a.zip").write_bytes(b"PK nonsense")
    for name, words in (("empty", r"no model\.json"), ("a.zip", "not a model"), ("none", "does not exist")):
        with pytest.raises(ModelError, match=words):
            project.import_model(tmp_path / name)
    assert project.models == ()
    assert not (project.folder / "models").exists()
    entry = project.import_model(trained)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "a.txt").write_text("mine")
    with pytest.raises(StorageError, match="other things than a model"):
        project.export_model(entry.id, tmp_path / "mine")
    with pytest.raises(ModelError, match=r"no model\.json"):
        project.export_model(project.add_model("new", method="slices", images=()).id, tmp_path / "new")


def test_a_zip_cannot_write_outside_of_the_project(project, trained, tmp_path):
    import zipfile

    with zipfile.ZipFile(tmp_path / "bad.zip", "w") as archive:
        archive.write(trained / "model.json", "model.json")
        archive.writestr("../../evil.txt", "gotcha")
    entry = project.import_model(tmp_path / "bad.zip")
    assert [file.name for file in project.model_folder(entry.id).iterdir()] == ["model.json"]


# places


@pytest.mark.parametrize(
    ("name", "expected"),
    [("raw.tif", "raw.tif"), ("a/b:c", "a-b-c"), ("  ", "project"), ("..", "project"), ("CON", "CON-project")],
)
def test_a_new_project_gets_a_name_that_every_system_takes(tmp_path, name, expected):
    assert default_project_folder(name, base=tmp_path) == tmp_path / expected


def test_a_new_project_never_collides(tmp_path):
    places = []
    for _ in range(3):
        places.append(default_project_folder("raw", base=tmp_path))
        places[-1].mkdir()
    assert [place.name for place in places] == ["raw", "raw 2", "raw 3"]


def test_the_project_last_painted_in_comes_first(tmp_path, raw):
    for name in ("first", "second"):
        Project.create(tmp_path / "all" / name).close()
    (tmp_path / "all" / "other").mkdir()
    with Project.open(tmp_path / "all" / "first") as first:
        entry = first.add_image(describe_file(raw))
        first.annotations(entry.id).write(SlicesState(), {2: square(1)})
        index = first.annotations(entry.id).folder / "index.json"
        os.utime(index, (4e9, 4e9))
    assert [place.name for place in recent_projects(base=tmp_path / "all")] == ["first", "second"]
    assert recent_projects(base=tmp_path / "none") == ()


def test_a_project_that_cannot_be_made_says_why_and_leaves_nothing(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageError, match="the disk is full") as caught:
        Project.create(tmp_path / "new")
    assert "owner" not in caught.value.message
    assert not (tmp_path / "new").exists()
