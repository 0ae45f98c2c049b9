"""Centroids as CSV."""

from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_weak3d.errors import AnnotationError
from napari_weak3d.io.annotations import (
    check_centroids,
    read_centroids,
    read_centroids_and_columns,
    write_centroids,
)
from napari_weak3d.types import Centroids, Volume

NUMBERS = st.floats(-1e6, 1e6)
VOLUME = Volume(np.zeros((1, 5, 6, 7)), name="raw")


def save(tmp_path, text):
    path = tmp_path / "cells.csv"
    path.write_text(text, encoding="utf-8")
    return path


@settings(max_examples=50)
@given(st.lists(st.tuples(NUMBERS, NUMBERS, NUMBERS), max_size=6), st.text(st.characters(codec="utf-8"), max_size=8))
def test_centroids_come_back_to_the_bit_with_their_columns(tmp_path_factory, points, text):
    path = tmp_path_factory.mktemp("points") / "a.csv"
    name = text.strip().replace("\r", " ").replace("\n", " ").replace("\0", "").strip()
    centroids = Centroids(np.array(points, dtype=np.float64).reshape(-1, 3))
    write_centroids(path, centroids, columns={"name": [name] * len(points)})
    again, columns = read_centroids_and_columns(path)
    np.testing.assert_array_equal(again.points_vox, centroids.points_vox)
    assert again.points_vox.shape == (len(points), 3)
    assert columns == {"name": (name,) * len(points)}


def test_columns_may_stand_in_any_order(tmp_path):
    centroids, columns = read_centroids_and_columns(save(tmp_path, "name, X ,y,z\nA,3,2,1\n\nB,6,5.5,4\n"))
    np.testing.assert_array_equal(centroids.points_vox, [[1, 2, 3], [4, 5.5, 6]])
    assert columns == {"name": ("A", "B")}


def test_points_saved_by_napari_are_read(tmp_path):
    path = save(tmp_path, "index,axis-0,axis-1,axis-2,kind\n0.0,1,2,3,a\n1.0,4,5,6,b\n")
    centroids, columns = read_centroids_and_columns(path)
    np.testing.assert_array_equal(centroids.points_vox, [[1, 2, 3], [4, 5, 6]])
    assert columns == {"kind": ("a", "b")}


def test_a_spreadsheet_byte_order_mark_is_no_part_of_the_header(tmp_path):
    np.testing.assert_array_equal(read_centroids(save(tmp_path, "\ufeffz,y,x\n1,2,3\n")).points_vox, [[1, 2, 3]])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "empty"),
        ("1,2,3\n", "no header"),
        ("z,y\n1,2\n", "no column x"),
        ("axis-0,axis-1\n1,2\n", "no column z, y, x"),
        ("axis-0,axis-1,axis-2,axis-3\n1,2,3,4\n", "four axes"),
        ("z,y,x,z\n1,2,3,4\n", "'z' twice"),
        ("z;y;x\n1,5;2;3\n", "not separated by commas"),
        ("z,y,x\n1,5,2,5,3,0\n", r"line 2 of cells\.csv has 6 cells.*decimal commas"),
        ('z,y,x\n1,2,3\n"1,5",2,3\n', r"line 3 of cells\.csv, column z: '1,5' is not a number; use a point"),
        ("z,y,x\n1,2,3\n\n1,two,3\n", r"line 4 of cells\.csv, column y: 'two' is not a number"),
        ("z,y,x\n1,2,nan\n", r"line 2 of cells\.csv, column x: 'nan'"),
        ("z,y,x\n1,2,\n", r"line 2 of cells\.csv, column x: ''"),
    ],
)
def test_a_bad_table_is_refused_by_line_and_column(tmp_path, text, words):
    with pytest.raises(AnnotationError, match=words):
        read_centroids(save(tmp_path, text))


def test_files_that_are_no_text_or_not_there_are_refused(tmp_path):
    (tmp_path / "a.csv").write_bytes(b"\xff\xfe\x00\x80")
    with pytest.raises(AnnotationError, match="must be a CSV file"):
        read_centroids(tmp_path / "a.csv")
    with pytest.raises(AnnotationError, match="does not exist"):
        read_centroids(tmp_path / "b.csv")


@settings(max_examples=80)
@given(st.text(max_size=40))
def test_no_text_makes_the_reader_fail_in_another_way(tmp_path_factory, text):
    path = tmp_path_factory.mktemp("text") / "a.csv"
    path.write_bytes(("z,y,x\n" + text).encode("utf-8", errors="surrogatepass"))
    with suppress(AnnotationError):
        assert np.isfinite(read_centroids(path).points_vox).all()


def test_a_column_of_another_length_is_not_written(tmp_path):
    with pytest.raises(AnnotationError, match="'name' has 2 cells for 1 points"):
        write_centroids(tmp_path / "a.csv", Centroids(np.zeros((1, 3))), columns={"name": ["a", "b"]})
    assert list(tmp_path.iterdir()) == []


def test_points_outside_the_volume_are_refused():
    check_centroids(Centroids(np.array([[-0.5, 0, 0], [4.4, 5.4, 6.4]])), VOLUME)
    for point in ([-0.6, 0, 0], [4.5, 0, 0], [0, 0, 6.5], [1e30, 0, 0]):
        with pytest.raises(AnnotationError, match=r"point 2 .* outside raw"):
            check_centroids(Centroids(np.array([[0, 0, 0], point])), VOLUME)
    with pytest.raises(AnnotationError, match="no centroids"):
        check_centroids(Centroids(np.zeros((0, 3))), VOLUME)
