"""The command line with clicks: from a table of points to cells and back, and what of it is refused."""

import json
from pathlib import Path

import numpy as np
import pytest

from napari_weak3d.cli import main
from napari_weak3d.io.annotations import read_centroids_and_columns
from napari_weak3d.io.volumes import read_labels, write_image, write_labels

SPACING = (2.0, 0.5, 0.5)
TINY = "--set width=4 levels=2 patch=32 pixels=2048 --steps 4 --device cpu"
TRAIN = "train centroids --image cells.tif --annotation clicks.csv --out model"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to work in: truth.tif with two cubes, cells.tif, their picture, and clicks.csv."""
    monkeypatch.chdir(tmp_path)
    truth = np.zeros((8, 24, 24), np.int32)
    truth[2:6, 4:10, 4:10] = 1
    truth[2:6, 14:20, 14:20] = 2
    picture = np.random.default_rng(0).normal(10, 1, truth.shape) + 20 * (truth > 0)
    write_labels("truth.tif", truth, spacing=SPACING, unit="um")
    write_image("cells.tif", picture, spacing=SPACING, unit="um")
    Path("clicks.csv").write_text("z,y,x\n3.5,6.5,6.5\n3.5,16.5,16.5\n")
    return tmp_path


def run(line: str) -> int:
    return main(line.split())


@pytest.mark.slow
def test_train_segment_evaluate_suggest_go_through(capsys):
    assert run(f"{TRAIN} {TINY}") == 0
    assert run("segment model cells.tif --out found.tif --centres-out centres.csv --objects objects.csv") == 0
    found = read_labels("found.tif")
    centres, columns = read_centroids_and_columns("centres.csv")
    assert found[4, 6, 6] != found[4, 16, 16]
    assert centres.points_vox[:2].tolist() == [[3.5, 6.5, 6.5], [3.5, 16.5, 16.5]]
    assert columns["score"][:2] == ("1.0000", "1.0000")
    capsys.readouterr()
    assert run("evaluate clicks.csv centres.csv --spacing 2,0.5,0.5 --json") == 0
    assert json.loads(capsys.readouterr().out)["precision"] == 1
    assert run("suggest model cells.tif --annotation clicks.csv -n 2 --json") == 0
    assert len(json.loads(capsys.readouterr().out)["slices"]) == 2
    assert run("suggest model cells.tif") == 0
    Path("nothing.csv").write_text("z,y,x\n")
    assert run("suggest model cells.tif --annotation nothing.csv") == 0


@pytest.mark.slow
def test_clicks_of_a_file_are_the_centres():
    assert run(f"{TRAIN} {TINY}") == 0
    Path("other.csv").write_text("z,y,x\n1,12,3\n6,3,20\n")
    assert run("segment model cells.tif --clicks other.csv --out found.tif --centres-out centres.csv") == 0
    centres, _ = read_centroids_and_columns("centres.csv")
    assert centres.points_vox[:2].tolist() == [[1, 12, 3], [6, 3, 20]]


@pytest.mark.parametrize(
    ("table", "parts"),
    [
        ("z,y,x\n", ["no centroids", "cells"]),
        ("z,y,x\n3,6,6\n", ["only one click"]),
        ("z,y,x\n3,6,6\n9,6,6\n", ["point 2", "z 9", "outside"]),
        ("z,y,x\n3,6,6\n3.2,6.1,5.9\n", ["points 1 and 2", "same voxel"]),
        ("z,y,x\n3,4.5,6\n3,5.4,6\n", ["points 1 and 2", "same voxel", "y 5"]),
        ("z,y,x\n", ["there are no centroids", "click at least one"]),
        ("a,b,c\n3,6,6\n", ["no column z", "a,b,c"]),
        ("z;y;x\n3,5;6;6\n", ["not separated by commas"]),
        ("z,y,x\n3,5,6,0,6,0\n", ["line 2", "6 cells", "points"]),
    ],
)
def test_clicks_that_cannot_be_used_are_told_in_one_line(table, parts, capsys):
    Path("clicks.csv").write_text(table)
    assert run(f"{TRAIN} {TINY}") == 2
    said = capsys.readouterr().err.strip()
    assert "\n" not in said
    for part in parts:
        assert part in said
    assert not Path("model").exists()


@pytest.mark.parametrize(
    ("line", "parts"),
    [
        (f"{TRAIN} --region 0:8,0:24,0:12 {TINY}", ["point 2", "region", "0:12"]),
        (f"{TRAIN} --annotated z:3 {TINY}", ["--annotated", "painted slices"]),
        (f"{TRAIN} --paint objects {TINY}", ["--paint", "painted slices"]),
        (f"{TRAIN.replace('clicks.csv', 'truth.tif')} {TINY}", ["truth.tif", ".csv"]),
        (f"{TRAIN} --masks truth.tif {TINY}", ["--masks", "boxes"]),
    ],
)
def test_options_that_do_not_go_with_clicks_are_told_in_one_line(line, parts, capsys):
    assert run(line) == 2
    said = capsys.readouterr().err
    for part in parts:
        assert part in said
    assert not Path("model").exists()


@pytest.mark.parametrize("option", ["--clicks clicks.csv", "--centres-out centres.csv"])
def test_a_model_of_painted_slices_takes_and_gives_no_clicks(option, capsys):
    Path("model").mkdir()
    Path("model/model.json").write_text('{"schema": 1, "method": "slices"}')
    assert run(f"segment model cells.tif --out found.tif {option}") == 2
    said = capsys.readouterr().err
    assert option.split()[0] in said
    assert "slices" in said
