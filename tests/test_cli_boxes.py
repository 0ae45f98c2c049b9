"""The command line with boxes: from a table of boxes to objects and back, and what of it is refused."""

import json
import warnings
from pathlib import Path

import numpy as np
import pytest

from napari_weak3d.cli import main
from napari_weak3d.io.annotations import read_boxes
from napari_weak3d.io.volumes import read_labels, write_image, write_labels

SPACING = (2.0, 0.5, 0.5)
TINY = "--set width=4 levels=2 patch=32 pixels=2048 roi_size=4 --steps 4 --device cpu"
TRAIN = "train boxes --image cells.tif --annotation boxes.csv --out model"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to work in: truth.tif with two cubes, cells.tif, their picture, boxes.csv and masks.tif for one."""
    monkeypatch.chdir(tmp_path)
    truth = np.zeros((8, 24, 24), np.int32)
    truth[2:6, 4:10, 4:10] = 1
    truth[2:6, 14:20, 14:20] = 2
    picture = np.random.default_rng(0).normal(10, 1, truth.shape) + 20 * (truth > 0)
    write_labels("truth.tif", truth, spacing=SPACING, unit="um")
    write_labels("masks.tif", np.where(truth == 1, 1, 0).astype(np.int32), spacing=SPACING, unit="um")
    write_image("cells.tif", picture, spacing=SPACING, unit="um")
    Path("boxes.csv").write_text("z0,y0,x0,z1,y1,x1\n2,4,4,6,10,10\n2,14,14,6,20,20\n")
    return tmp_path


def run(line: str) -> int:
    return main(line.split())


@pytest.mark.slow
@pytest.mark.parametrize("masks", ["", "--masks masks.tif"])
def test_train_segment_evaluate_suggest_go_through(masks, capsys):
    assert run(f"{TRAIN} {masks} --region 0:8,0:24,0:24 {TINY}") == 0
    assert run("segment model cells.tif --out found.tif --objects objects.csv --uncertainty unsure.tif") == 0
    assert ("shapes are guessed" in capsys.readouterr().out) == (masks == "")
    found = read_labels("found.tif")
    assert len(read_boxes("objects.csv").corners) == found.max() >= 2
    capsys.readouterr()
    assert run("evaluate objects.csv boxes.csv --json") == 0
    assert json.loads(capsys.readouterr().out)["n_true"] == 2
    assert run(f"suggest model cells.tif --annotation boxes.csv {masks} -n 5 --json") == 0
    chosen = json.loads(capsys.readouterr().out)["boxes"]
    assert sorted(chosen) == ([2] if masks else [1, 2])
    Path("one.csv").write_text("z0,y0,x0,z1,y1,x1\n2,4,4,6,10,10\n")
    assert run("suggest model cells.tif --annotation one.csv --masks masks.tif") == 0
    assert "every box has a mask" in capsys.readouterr().out


def test_boxes_are_scored_against_boxes(capsys):
    Path("found.csv").write_text("z,y,x,z0,y0,x0,z1,y1,x1\n4,7,7,2,4,4,6,10,9\n0,0,0,0,0,0,1,1,1\n")
    assert run("evaluate found.csv boxes.csv --json") == 0
    scores = json.loads(capsys.readouterr().out)
    assert (scores["f1"], scores["precision"], scores["recall"]) == (0.5, 0.5, 0.5)


@pytest.mark.parametrize(
    ("table", "parts"),
    [
        ("z0,y0,x0,z1,y1,x1\n", ["no boxes", "cells"]),
        ("z0,y0,x0,z1,y1,x1\n2,4,4,2,10,10\n", ["box 1", "zero depth", "z 2 to 2"]),
        ("z0,y0,x0,z1,y1,x1\n2,4,4,6,10,30\n", ["box 1", "outside", "x 4 to 30"]),
        ("z0,y0,x0,z1,y1,x1,class\n2,4,4,6,10,10,0\n", ["box 1", "class 0"]),
        ("z0,y0,x0,z1,y1\n2,4,4,6,10\n", ["x1"]),
        ("z0;y0;x0;z1;y1;x1\n2;4;4;6;10;10\n", ["not separated by commas"]),
    ],
)
def test_boxes_that_cannot_be_used_are_told_in_one_line(table, parts, capsys):
    Path("boxes.csv").write_text(table)
    assert run(f"{TRAIN} {TINY}") == 2
    said = capsys.readouterr().err.strip()
    assert "\n" not in said
    for part in parts:
        assert part in said
    assert not Path("model").exists()


@pytest.mark.parametrize(
    ("line", "parts"),
    [
        (f"{TRAIN} --region 0:8,0:24,20:24 {TINY}", ["no box", "region", "20:24"]),
        (f"{TRAIN} --annotated z:3 {TINY}", ["--annotated", "painted slices"]),
        (f"{TRAIN} --masks masks.tif masks.tif {TINY}", ["1 --image", "2 --masks"]),
        (f"{TRAIN} --masks cells.tif {TINY}", ["cells.tif"]),
        (f"{TRAIN.replace('boxes.csv', 'truth.tif')} {TINY}", ["truth.tif", ".csv"]),
        ("train centroids --image cells.tif --annotation b.csv --masks masks.tif --out m", ["--masks", "boxes"]),
        ("evaluate truth.tif boxes.csv", ["two kinds", "boxes (.csv) against boxes"]),
    ],
)
def test_options_that_do_not_go_with_boxes_are_told_in_one_line(line, parts, capsys):
    assert run(line) == 2
    said = capsys.readouterr().err
    for part in parts:
        assert part in said
    assert not Path("model").exists()


def test_masks_of_another_shape_are_told_as_that(capsys):
    turned = np.swapaxes(read_labels("masks.tif"), 0, 1).copy()
    write_labels("masks.tif", turned, spacing=SPACING, unit="um")
    assert run(f"{TRAIN} --masks masks.tif {TINY}") == 2
    assert "masks.tif is 24x8x24" in capsys.readouterr().err


def test_masks_that_a_table_speaks_of_and_boxes_that_come_twice_are_said(capsys):
    Path("boxes.csv").write_text("z0,y0,x0,z1,y1,x1,mask_id\n2,4,4,6,10,10,1\n2,14,14,6,20,20,\n2,4,4,6,10,10,0\n")
    Path("masks.tif").rename("boxes-masks.tif")
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        assert run(f"{TRAIN} --region 0:8,0:24,20:24 {TINY}") == 2  # refused after it has been read
    said = capsys.readouterr().err
    assert "masks named in boxes.csv: 1; without --masks boxes-masks.tif none" in said
    assert "boxes given twice in boxes.csv: 3" in said


def test_masks_that_reach_out_of_their_boxes_are_said(capsys):
    Path("boxes.csv").write_text("z0,y0,x0,z1,y1,x1\n2,4,4,5,10,10\n2,14,14,6,20,20\n")
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        assert run(f"{TRAIN} --masks masks.tif --region 0:8,0:24,20:24 {TINY}") == 2  # refused after it has been read
    assert "masks in masks.tif reach out of their boxes in boxes.csv: 1 (25 %);" in capsys.readouterr().err
    Path("boxes.csv").write_text("z0,y0,x0,z1,y1,x1\n2,4,4,3,10,10\n2,14,14,6,20,20\n")
    assert run(f"{TRAIN} --masks masks.tif {TINY}") == 2
    assert "75 % of the mask of box 1 in boxes.csv lies outside of it" in capsys.readouterr().err


def test_a_model_of_boxes_suggests_nothing_without_them(capsys):
    Path("model").mkdir()
    Path("model/model.json").write_text('{"schema": 1, "method": "boxes"}')
    assert run("suggest model cells.tif") == 2
    assert "--annotation" in capsys.readouterr().err
