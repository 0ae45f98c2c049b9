"""Painted slices: what is complete, what is background, what is refused."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_weak3d.errors import AnnotationError
from napari_weak3d.io.annotations import (
    SlicesWarning,
    check_slices,
    format_annotated,
    parse_annotated,
    read_slices,
    write_slices,
)
from napari_weak3d.io.volumes import write_labels
from napari_weak3d.types import PaintClass, Slices, Volume

SHAPE = (5, 6, 7)
VOLUME = Volume(np.arange(np.prod(SHAPE)).reshape(1, *SHAPE), name="raw")


def save(path, *painted):
    """A label image with the given (value, z) pairs, a square each."""
    labels = np.zeros(SHAPE, np.int32)
    for i, (value, z) in enumerate(painted):
        labels[z, 2 * (i % 3) : 2 * (i % 3) + 2, 1:3] = value
    write_labels(path, labels, spacing=(1, 1, 1), unit="um")
    return labels


def backgrounds(slices):
    return [row.value for row in slices.classes if row.background]


def values(slices):
    return [row.value for row in slices.classes]


# which slices are complete


def test_annotated_slices_are_read():
    assert parse_annotated(["z:3,10,17", "y:40"]) == ((0, 3), (0, 10), (0, 17), (1, 40))
    assert parse_annotated(["z:3-5 x:2"]) == ((0, 3), (0, 4), (0, 5), (2, 2))
    assert parse_annotated(["z:3", "Z:3,2"]) == ((0, 2), (0, 3))
    assert parse_annotated([]) == ()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("w:3", "'w' is not an axis"),
        ("3", "'3' is not an axis"),
        (":3", "'' is not an axis"),
        ("zy:3", "'zy' is not an axis"),
        ("z:", "no slice index"),
        ("z:3,a", "'a' is neither"),
        ("z:-1", "'-1' is neither"),
        ("z:3,,4", "'' is neither"),
        ("z:1.5", "'1.5' is neither"),
        ("z:6-3", "6-3 runs backwards"),
        ("z:0-99999999999", "0-99999999999 has more than 1000000 slices"),
        (f"z:{'9' * 5000}", "is neither"),
    ],
)
def test_annotated_slices_that_make_no_sense_are_refused(text, words):
    with pytest.raises(AnnotationError, match=words):
        parse_annotated([text])


@given(st.sets(st.tuples(st.integers(0, 2), st.integers(0, 500)), max_size=20))
def test_annotated_slices_written_are_read_back(annotated):
    assert parse_annotated(format_annotated(list(annotated))) == tuple(sorted(annotated))


# which value is background


def test_a_binary_mask_on_complete_slices_has_background_0(tmp_path):
    labels = save(tmp_path / "paint.tif", (1, 0), (1, 3))
    slices = read_slices(tmp_path / "paint.tif", volume=VOLUME, annotated=((0, 0), (0, 3)))
    assert (values(slices), backgrounds(slices)) == ([0, 1], [0])
    assert slices.annotated == ((0, 0), (0, 3))
    np.testing.assert_array_equal(slices.labels, labels)


def test_of_two_values_1_is_background_where_nothing_is_said(tmp_path):
    save(tmp_path / "paint.tif", (1, 0), (2, 0))
    slices = read_slices(tmp_path / "paint.tif", volume=VOLUME)
    assert (values(slices), backgrounds(slices)) == ([1, 2], [1])
    assert slices.annotated == ()
    with_complete = read_slices(tmp_path / "paint.tif", volume=VOLUME, annotated=((0, 0),))
    assert backgrounds(with_complete) == [1]


def test_the_given_background_wins(tmp_path):
    save(tmp_path / "paint.tif", (1, 0), (2, 0))
    assert backgrounds(read_slices(tmp_path / "paint.tif", volume=VOLUME, background=2)) == [2]
    unpainted = read_slices(tmp_path / "paint.tif", volume=VOLUME, background=0, annotated=((0, 0),))
    assert (values(unpainted), backgrounds(unpainted)) == ([0, 1, 2], [0])
    free = read_slices(tmp_path / "paint.tif", volume=VOLUME, background=5, annotated=((0, 0),))
    assert (values(free), backgrounds(free)) == ([1, 2, 5], [5])


def test_a_background_that_cannot_be_is_refused(tmp_path):
    save(tmp_path / "paint.tif", (2, 0), (3, 0))
    with pytest.raises(AnnotationError, match=r"values 2, 3 are painted.*say which is background"):
        read_slices(tmp_path / "paint.tif", volume=VOLUME)
    with pytest.raises(AnnotationError, match="background 7 is not painted"):
        read_slices(tmp_path / "paint.tif", volume=VOLUME, background=7)
    with pytest.raises(AnnotationError, match="background -1 is negative"):
        read_slices(tmp_path / "paint.tif", volume=VOLUME, background=-1)
    with pytest.raises(AnnotationError, match="leave out --background"):
        read_slices(tmp_path / "paint.tif", volume=VOLUME, background=2, paint="objects")


def test_the_table_beside_the_image_is_read_and_arguments_win(tmp_path):
    save(tmp_path / "paint.ome.tif", (1, 0), (2, 3))
    content = {
        "schema": 1,
        "annotated": ["z:0"],
        "classes": [
            {"value": 2, "name": "medium", "background": True},
            {"value": 1, "name": "cell", "color": "#00ff00"},
        ],
    }
    (tmp_path / "paint.json").write_text(json.dumps(content))
    slices = read_slices(tmp_path / "paint.ome.tif", volume=VOLUME)
    assert slices.classes == (PaintClass(1, "cell", "#00ff00"), PaintClass(2, "medium", background=True))
    assert slices.annotated == ((0, 0),)
    given_ones = read_slices(tmp_path / "paint.ome.tif", volume=VOLUME, annotated=((1, 2),), background=1)
    assert backgrounds(given_ones) == [1]
    assert given_ones.annotated == ((1, 2),)
    as_objects = read_slices(tmp_path / "paint.ome.tif", volume=VOLUME, paint="objects")
    assert (as_objects.paint, as_objects.classes) == ("objects", ())


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("{", "cannot read paint.json"),
        ("[" * 100_000, "cannot read paint.json"),
        ("[]", r"paint.json: the whole = \[\]: it has to be an object of names and values; correct or remove"),
        ('{"schema": 99}', "schema 99.*update"),
        ('{"colour": 1}', "colour = 1: there is no such entry"),
        ('{"paint": "cells"}', "paint = 'cells': it has to be 'classes' or 'objects'"),
        ('{"annotated": "z:3"}', "annotated = 'z:3': it has to be a list"),
        ('{"annotated": [3]}', "annotated.0 = 3: it has to be text"),
        ('{"classes": [{"value": 1}]}', "classes.0.name = .*: the entry 'name' is missing"),
        ('{"classes": [3]}', "classes.0 = 3: it has to be an object"),
        ('{"annotated": ["z:3,"]}', "paint.json: annotated slices 'z:3,': '' is neither"),
        ('{"annotated": ["z:5"]}', "paint.json: annotated slice z:5 is out of range: raw has 5"),
        ('{"classes": [{"value": -2, "name": "a"}]}', "classes.0.value = -2: it has to be a whole number from 0"),
        (
            '{"classes": [{"value": 1, "name": "a", "color": "red"}]}',
            "color = 'red': it has to be a colour such as #44aa99",
        ),
        ('{"classes": [{"value": 1, "name": "a"}, {"value": 1, "name": "b"}]}', "class 1 twice"),
        ('{"classes": [{"value": 0, "name": "a"}]}', "class 0 that is not background"),
        (
            '{"classes": [{"value": 1, "name": "", "background": true}, {"value": 2, "name": "", "background": true}]}',
            r"calls the classes \[1, 2\] background",
        ),
    ],
)
def test_a_damaged_table_is_refused(tmp_path, content, words):
    save(tmp_path / "paint.tif", (1, 0), (2, 0))
    (tmp_path / "paint.json").write_text(content)
    with pytest.raises(AnnotationError, match=words):
        read_slices(tmp_path / "paint.tif", volume=VOLUME)


def test_a_byte_order_mark_before_the_table_is_no_damage(tmp_path):
    save(tmp_path / "paint.tif", (1, 0))
    (tmp_path / "paint.json").write_text('{"annotated": ["z:0"]}', encoding="utf-8-sig")
    assert read_slices(tmp_path / "paint.tif", volume=VOLUME).annotated == ((0, 0),)


@settings(max_examples=25)
@given(data=st.data())
def test_slices_written_are_read_back(tmp_path_factory, data):
    labels = np.zeros(SHAPE, np.int32)
    labels[1, :3] = 1
    labels[1, 3:, :4] = data.draw(st.integers(2, 300))
    annotated = tuple(sorted({(0, 1)} | data.draw(st.sets(st.tuples(st.integers(0, 2), st.integers(0, 4))))))
    if data.draw(st.booleans()):
        slices = Slices(labels, paint="objects", annotated=annotated)
    else:
        table = [
            PaintClass(value, f"name {value}", "#a0b0c0", background=value == 1)
            for value in np.unique(labels[labels > 0]).tolist()
        ]
        slices = Slices(labels, annotated=annotated, classes=tuple(table))
    path = tmp_path_factory.mktemp("slices") / data.draw(st.sampled_from(["a.tif", "a.ome.tif", "a.zarr"]))
    write_slices(path, slices, spacing=(2, 1, 1), unit="um")
    again = read_slices(path, volume=VOLUME)
    np.testing.assert_array_equal(again.labels, labels)
    assert (again.paint, again.annotated, again.classes) == (slices.paint, slices.annotated, slices.classes)


# what is refused


@pytest.mark.parametrize(
    ("painted", "annotated", "paint", "words"),
    [
        ([], ((0, 1),), "classes", "nothing is painted on raw"),
        ([], None, "objects", "nothing is painted on raw"),
        ([(1, 0)], None, "classes", "only class 1 .*say which slices are complete"),
        ([(1, 0)], ((0, 5),), "classes", r"slice z:5 is out of range: raw has 5 slices along z, 0 to 4"),
        ([(1, 0)], ((1, 6),), "classes", r"slice y:6 is out of range: raw has 6"),
        ([(1, 0)], None, "objects", "1 object is painted .*say which slices are complete"),
        ([(1, 0), (2, 3)], ((0, 1), (1, 5)), "objects", r"slice of raw \(z:1 y:5\) has an object: .* are z:0,3, say"),
    ],
)
def test_paint_to_learn_nothing_from_is_refused(tmp_path, painted, annotated, paint, words):
    save(tmp_path / "paint.tif", *painted)
    with pytest.raises(AnnotationError, match=words):
        read_slices(tmp_path / "paint.tif", volume=VOLUME, annotated=annotated, paint=paint)


@pytest.mark.parametrize(
    ("paint", "words"),
    [
        ("objects", r"no complete slice of raw \(z:0\) has an object inside the region: enlarge"),
        ("classes", r"only class 1 is painted .* or enlarge the region"),
    ],
)
def test_complete_slices_beside_the_region_do_not_count(tmp_path, paint, words):
    save(tmp_path / "paint.tif", (1, 0))
    known = {"volume": VOLUME, "annotated": ((0, 0),), "paint": paint}
    for beside in (((1, 5), (0, 6), (0, 7)), ((3, 5), (2, 3), (3, 7))):
        with pytest.raises(AnnotationError, match=words):
            read_slices(tmp_path / "paint.tif", **known, region=beside)
    read_slices(tmp_path / "paint.tif", **known, region=((0, 1), (0, 3), (0, 3)))


def test_what_is_refused_names_the_option_for_the_command_line_alone(tmp_path):
    save(tmp_path / "paint.tif", (1, 0))
    with pytest.raises(AnnotationError) as refused:
        read_slices(tmp_path / "paint.tif", volume=VOLUME)
    assert "--" not in refused.value.message
    assert refused.value.option == "with --annotated z:3,10"


def test_complete_slices_painted_all_over_with_one_class_are_refused(tmp_path):
    labels = np.zeros(SHAPE, np.int32)
    labels[2] = 1
    write_labels(tmp_path / "paint.tif", labels, spacing=(1, 1, 1), unit="um")
    with pytest.raises(AnnotationError, match="only class 1") as refused:
        read_slices(tmp_path / "paint.tif", volume=VOLUME, annotated=((0, 2),))
    assert "which slices are complete" not in refused.value.message, "it was said which"
    read_slices(tmp_path / "paint.tif", volume=VOLUME, annotated=((0, 2), (0, 3)))


def test_a_shape_that_differs_is_refused():
    slices = Slices(np.ones((5, 6, 8), np.int32), annotated=((0, 0),), paint="objects")
    with pytest.raises(AnnotationError, match="5x6x8, the image raw is 5x6x7"):
        check_slices(slices, VOLUME)


def test_a_table_that_does_not_cover_the_paint_is_refused():
    labels = np.zeros(SHAPE, np.int32)
    labels[0, 0] = 1
    labels[0, 1] = 2
    with pytest.raises(AnnotationError, match="value 2 is not in the table"):
        check_slices(Slices(labels, classes=(PaintClass(1, "a"),)), VOLUME)
    table = (PaintClass(1, "a"), PaintClass(2, "b"))
    check_slices(Slices(labels, classes=table), VOLUME)
    with pytest.raises(AnnotationError, match="no class is background"):
        check_slices(Slices(labels, classes=table, annotated=((0, 0),)), VOLUME)


@pytest.mark.parametrize("annotated", [((3, 3),), ["z:3"], (0, 3), ((0, 1.5),), "z:3", None, ((0, 1, 2),), ((-1, 0),)])
def test_what_is_no_slice_is_refused(annotated, tmp_path):
    labels = save(tmp_path / "paint.tif", (1, 0))
    words = "is not an axis and an index: give .0, 3. for z:3"
    with pytest.raises(AnnotationError, match=words):
        check_slices(Slices(labels, paint="objects", annotated=annotated), VOLUME)
    if annotated is not None:
        with pytest.raises(AnnotationError, match=words):
            read_slices(tmp_path / "paint.tif", volume=VOLUME, annotated=annotated)


def test_slices_may_be_lists_of_numbers_of_any_kind():
    slices = Slices(np.zeros(SHAPE, np.int32), annotated=[[0, np.int64(3)], (np.uint8(1), 2)])
    assert slices.annotated == ((0, 3), (1, 2))
    assert json.dumps(slices.annotated) == "[[0, 3], [1, 2]]"


def test_paint_of_a_kind_that_is_not_there_is_refused(tmp_path):
    labels = save(tmp_path / "paint.tif", (1, 0))
    words = "'object' is no kind of paint: there is classes and objects"
    with pytest.raises(AnnotationError, match=words):
        check_slices(Slices(labels, paint="object", annotated=((0, 0),)), VOLUME)
    with pytest.raises(AnnotationError, match=words):
        read_slices(tmp_path / "paint.tif", volume=VOLUME, annotated=((0, 0),), paint="object")


# complete slices that miss the paint


@pytest.mark.parametrize(
    ("annotated", "paint", "said"),
    [
        (((0, 1), (0, 4)), "classes", "slices z:1,4 have no paint, and z:0,3 are painted and not said"),
        (((0, 0), (0, 4)), "classes", "slice z:4 has no paint, and z:3 is painted and not said"),
        (((0, 0), (0, 4)), "objects", "slice z:4 has no paint, and z:3 is painted and not said"),
        (((0, 1), (0, 4), (1, 0)), "classes", "slices z:1,4 have no paint, and z:0,3 are painted and not said"),
    ],
)
def test_complete_slices_beside_the_paint_are_told(annotated, paint, said, tmp_path):
    save(tmp_path / "paint.tif", (1, 0), (1, 0), (1, 3))
    with pytest.warns(SlicesWarning, match=rf"paint.tif: complete {said} .*; slices are counted from 0"):
        read_slices(tmp_path / "paint.tif", volume=VOLUME, annotated=annotated, paint=paint)


@pytest.mark.parametrize("annotated", [((0, 0), (0, 3)), ((0, 0),), ((0, 0), (0, 3), (0, 4)), ((1, 0), (0, 0))])
def test_complete_slices_that_are_painted_or_all_background_are_fine(annotated, tmp_path, recwarn):
    save(tmp_path / "paint.tif", (1, 0), (1, 3))
    read_slices(tmp_path / "paint.tif", volume=VOLUME, annotated=annotated)
    assert not recwarn


def test_an_empty_complete_slice_is_fine_where_paint_lies_across_another_axis(tmp_path, recwarn):
    labels = np.zeros(SHAPE, np.int32)
    labels[:4, 2] = 1
    labels[:4, 4] = 1
    write_labels(tmp_path / "paint.tif", labels, spacing=(1, 1, 1), unit="um")
    read_slices(tmp_path / "paint.tif", volume=VOLUME, annotated=((0, 4), (1, 2)))
    assert not recwarn


def test_a_file_of_the_dock_with_an_empty_slice_and_strokes_elsewhere_is_fine(tmp_path, recwarn):
    labels = save(tmp_path / "paint.tif", (1, 0), (1, 3))
    table = (PaintClass(0, "background", background=True), PaintClass(1, "cell"))
    write_slices(tmp_path / "paint.tif", Slices(labels, annotated=((0, 0), (0, 4)), classes=table))
    read_slices(tmp_path / "paint.tif", volume=VOLUME)
    assert not recwarn
    write_slices(tmp_path / "paint.tif", Slices(labels, annotated=((0, 1), (0, 4)), classes=table))
    with pytest.warns(SlicesWarning, match="z:1,4 have no paint"):
        read_slices(tmp_path / "paint.tif", volume=VOLUME)
