"""Boxes from files and into files."""

import numpy as np
import pytest

from napari_weak3d.app.tools.boxes.files import export_boxes, import_boxes
from napari_weak3d.app.tools.boxes.session import BoxSession
from napari_weak3d.app.tools.boxes.table import empty_table
from napari_weak3d.errors import AnnotationError
from napari_weak3d.io.annotations import masks_path, read_boxes
from napari_weak3d.io.volumes import write_labels

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
    assert export(session, path) == f"3 boxes in {path}, masks in cells-masks.tif. 1 begun mask is left out"
    back = empty()
    assert import_boxes(back, path) == "3 boxes, 1 mask imported from cells.csv."
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
    other = empty()
    other.add(BOXES + 1, [1, 1, 1], name="draw")
    import_boxes(other, tmp_path / "cells.csv")
    assert other.table.ids.tolist() == [1, 2, 3, 4, 5, 6]
    assert np.array_equal(other.masks == 5, session.masks == 2)


def test_boxes_that_are_there_already_are_not_added_again_and_get_a_mask_if_they_have_none(session, tmp_path):
    path = tmp_path / "cells.csv"
    export(session, path)
    masks = session.masks.copy()
    assert import_boxes(session, path) == ("0 boxes imported from cells.csv. 3 boxes there already, not added again.")
    assert session.table.done.tolist() == [False, True, False]
    assert np.array_equal(session.masks, masks)
    bare = empty()
    bare.add(BOXES[:2], [1, 2], name="draw")
    assert import_boxes(bare, path) == (
        "1 box, 1 mask imported from cells.csv. 2 boxes there already, not added again."
    )
    assert bare.table.done.tolist() == [False, True, False]
    assert np.array_equal(bare.masks == 2, session.masks == 2)


def test_a_mask_that_is_painted_already_is_kept(session, tmp_path):
    export(session, tmp_path / "cells.csv")
    other = empty()
    other.add(BOXES[1:2], [2], name="draw")
    other.step("paint", other.table, voxels=other.painting(1, np.arange(4)[:, None, None] < np.ones((4, 8, 10))))
    assert "1 mask painted here already and kept." in import_boxes(other, tmp_path / "cells.csv")
    assert (np.count_nonzero(other.masks == 1), other.table.done.any()) == (80, False)


def test_of_masks_where_others_lie_only_the_rest_is_taken_and_without_a_rest_none_is_done(tmp_path):
    path = tmp_path / "cells.csv"
    path.write_text("z0,y0,x0,z1,y1,x1\n0,0,0,2,2,2\n2,0,0,4,2,2\n")
    painted = np.zeros(SHAPE, np.int32)
    painted[:2, :2, :2], painted[2:4, :2, :2] = 1, 2
    write_labels(masks_path(path), painted, spacing=(1, 1, 1), unit="um")
    session = empty()
    session.add(np.array([[[0, 0, 0], [3, 4, 4]]]), [1], name="draw")
    session.step("paint", session.table, voxels=session.painting(1, np.ones((3, 4, 4), bool)))
    assert import_boxes(session, path) == (
        "2 boxes, 1 mask imported from cells.csv. 1 mask left out: other masks fill the place. "
        "4 voxels of masks left out: other masks are there."
    )
    assert session.table.done.tolist() == [False, False, True]
    assert [np.count_nonzero(session.masks == each) for each in (1, 2, 3)] == [48, 0, 4]


def test_masks_that_reach_out_of_their_boxes_are_cut_and_said_and_those_mostly_outside_refused(tmp_path):
    path = tmp_path / "cells.csv"
    path.write_text("z0,y0,x0,z1,y1,x1\n0,0,0,3,2,2\n")
    painted = np.zeros(SHAPE, np.int32)
    painted[:4, :2, :2] = 1
    write_labels(masks_path(path), painted, spacing=(1, 1, 1), unit="um")
    session = empty()
    assert import_boxes(session, path) == (
        "1 box, 1 mask imported from cells.csv. Masks cut where they reach out of their boxes: 1 (25 %)."
    )
    assert np.count_nonzero(session.masks) == 12
    path.write_text("z0,y0,x0,z1,y1,x1\n0,0,0,1,2,2\n")
    with pytest.raises(AnnotationError, match="75 % of the mask of box 1"):
        import_boxes(session, path)


def test_an_export_says_what_it_leaves_out(session, tmp_path):
    path = tmp_path / "cells.csv"
    session.step("region", session.table.with_region(((0, 8), (2, 20), (0, 24))))
    assert export(session, path) == (
        f"3 boxes in {path}, masks in cells-masks.tif. 1 begun mask is left out. "
        "The region is not in the file: note it, 0:8,2:20,0:24 (z, y, x)"
    )


def test_boxes_outside_are_left_out_and_said_and_those_that_reach_out_are_cut(tmp_path):
    path = tmp_path / "far.csv"
    path.write_text("z0,y0,x0,z1,y1,x1\n-2,0,0,3,4,4\n90,0,0,95,3,3\n")
    session = empty()
    assert import_boxes(session, path) == (
        "1 box imported from far.csv. 1 box outside of the image left out. 1 box cut at the faces of the image."
    )
    assert session.table.corners.tolist() == [[[0, 0, 0], [3, 4, 4]]]


@pytest.mark.parametrize("beside", ["cells-masks.tif", "cells.masks.tif"])
def test_masks_are_found_under_either_name(beside, session, tmp_path):
    export(session, tmp_path / "cells.csv")
    (tmp_path / "cells-masks.tif").rename(tmp_path / beside)
    back = empty()
    import_boxes(back, tmp_path / "cells.csv")
    assert np.array_equal(back.masks == 2, session.masks == 2)


def test_masks_that_a_table_speaks_of_and_that_are_not_there_are_said(session, tmp_path):
    export(session, tmp_path / "cells.csv")
    (tmp_path / "cells-masks.tif").unlink()
    assert "Masks of 1 box are not there: put cells-masks.tif beside it" in import_boxes(
        empty(), tmp_path / "cells.csv"
    )


def test_boxes_that_come_twice_are_said(tmp_path):
    path = tmp_path / "twice.csv"
    path.write_text("z0,y0,x0,z1,y1,x1\n1,0,0,3,4,4\n1,0,0,3,4,4\n")
    assert import_boxes(empty(), path) == "2 boxes imported from twice.csv. 1 box given twice."


def test_masks_of_another_shape_are_refused_before_anything_else(session, tmp_path):
    export(session, tmp_path / "cells.csv")
    write_labels(tmp_path / "cells-masks.tif", session.masks.T.copy(), spacing=(1, 1, 1), unit="um")
    back = empty()
    with pytest.raises(AnnotationError, match=r"cells-masks\.tif is 24x20x8"):
        import_boxes(back, tmp_path / "cells.csv")
    assert len(back.table) == 0


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
