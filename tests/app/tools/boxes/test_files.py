"""Boxes from files and into files."""

import numpy as np
import pytest

from napari_weak3d.app.tools.boxes.files import export_boxes, import_boxes, masks_path
from napari_weak3d.app.tools.boxes.session import BoxSession
from napari_weak3d.app.tools.boxes.table import empty_table
from napari_weak3d.errors import AnnotationError
from napari_weak3d.io.annotations import read_boxes

pytestmark = pytest.mark.window
SHAPE = (8, 20, 24)
BOXES = np.array([[[1, 2, 3], [5, 9, 10]], [[2, 8, 8], [6, 16, 18]], [[0, 0, 0], [2, 2, 2]]])


@pytest.fixture
def session(qapp):
    """Three boxes; of the last two a mask, of which one is done."""
    session = BoxSession(empty_table(), np.zeros(SHAPE, np.int32))
    session.add(BOXES, [1, 2, 1], name="draw")
    for box_id in (2, 3):
        session.step("paint", session.table, voxels=session.painting(box_id, session.mask_of(box_id) | True))
    session.step("done", session.table.with_done([2], True))
    return session


def export(session, path):
    return export_boxes(session, path, spacing=(2, 1, 1), unit="um")


def empty():
    return BoxSession(empty_table(), np.zeros(SHAPE, np.int32))


def test_boxes_and_done_masks_come_back(session, tmp_path):
    path = tmp_path / "cells.csv"
    assert export(session, path) == f"3 boxes in {path}, masks in cells.masks.tif"
    back = empty()
    assert import_boxes(back, path) == "3 boxes imported from cells.csv."
    assert np.array_equal(back.table.corners, BOXES)
    assert back.table.classes.tolist() == [1, 2, 1]
    assert back.table.done.tolist() == [False, True, False]
    assert np.array_equal(back.masks == 2, session.masks == 2)
    assert not (back.masks == 3).any()
    back.undo()
    assert (len(back.table), back.masks.any()) == (0, False)


def test_what_is_exported_is_what_the_command_line_reads(session, tmp_path):
    export(session, tmp_path / "cells.csv")
    boxes = read_boxes(tmp_path / "cells.csv", masks=masks_path(tmp_path / "cells.csv"))
    assert np.array_equal(boxes.corners, BOXES)
    assert boxes.has_mask.tolist() == [False, True, False]


def test_imported_boxes_come_beside_those_that_are_there(session, tmp_path):
    export(session, tmp_path / "cells.csv")
    import_boxes(session, tmp_path / "cells.csv")
    assert session.table.ids.tolist() == [1, 2, 3, 4, 5, 6]
    assert (session.masks == 2).any()
    assert not (session.masks == 5).any(), "the place is taken"


def test_boxes_outside_are_left_out_and_said_and_those_that_reach_out_are_cut(tmp_path):
    path = tmp_path / "far.csv"
    path.write_text("z0,y0,x0,z1,y1,x1\n-2,0,0,3,4,4\n90,0,0,95,3,3\n")
    session = empty()
    assert import_boxes(session, path) == "1 box imported from far.csv. 1 box outside of the image left out."
    assert session.table.corners.tolist() == [[[0, 0, 0], [3, 4, 4]]]


def test_nonsense_is_refused_and_changes_nothing(session, tmp_path):
    path = tmp_path / "flat.csv"
    path.write_text("z0,y0,x0,z1,y1,x1\n3,0,0,3,4,4\n")
    with pytest.raises(AnnotationError, match="zero depth"):
        import_boxes(session, path)
    assert len(session.table) == 3


def test_without_masks_there_is_no_label_image(tmp_path):
    session = empty()
    session.add(BOXES, [1, 1, 1], name="draw")
    export(session, tmp_path / "cells.csv")
    assert [file.name for file in tmp_path.glob("cells*")] == ["cells.csv"]
