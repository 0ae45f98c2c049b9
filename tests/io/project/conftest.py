"""A project with one image, and what is painted on it."""

import numpy as np
import pytest

from napari_weak3d.io.project import Project, SlicesState, describe_file
from napari_weak3d.io.volumes import write_image
from napari_weak3d.types import PaintClass

SHAPE = (6, 20, 30)


@pytest.fixture
def raw(tmp_path):
    """An image file of SHAPE, a ramp."""
    path = tmp_path / "data" / "raw.tif"
    path.parent.mkdir()
    write_image(path, np.arange(np.prod(SHAPE)).reshape(SHAPE), spacing=(2, 0.5, 0.5), unit="um")
    return path


@pytest.fixture
def project(tmp_path):
    with Project.create(tmp_path / "project", name="Nuclei") as made:
        yield made


@pytest.fixture
def image(project, raw):
    return project.add_image(describe_file(raw))


@pytest.fixture
def store(project, image):
    return project.annotations(image.id)


@pytest.fixture
def state():
    return SlicesState(
        paint="classes",
        annotated=((0, 2), (1, 4)),
        classes=(PaintClass(1, "background", "#112233", background=True), PaintClass(2, "cell")),
        region=((0, 6), (1, 20), (2, 30)),
        effort_s=12.5,
    )


def square(value, y=2, x=3):
    """A plane with a square of four voxels a side."""
    plane = np.zeros(SHAPE[1:], np.int32)
    plane[y : y + 4, x : x + 4] = value
    return plane
