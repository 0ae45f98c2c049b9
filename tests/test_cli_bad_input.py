"""Bad input to the command line: one line that says what is wrong, exit code 2, and nothing written."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile

from napari_weak3d.cli import main
from napari_weak3d.io.volumes import write_image, write_labels
from napari_weak3d.io.zarrs import write_zarr

# The file without a voxel size says so in a warning before it is refused.
pytestmark = pytest.mark.filterwarnings("default::napari_weak3d.io.spacing.SpacingWarning")

SPACING = (2.0, 0.5, 0.5)
SHAPE = (8, 24, 24)
TRAIN = "train slices --image cells.tif --annotation paint.tif --out model"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to work in, with an image, its paint (z:4, class 1, not said to be complete), and spoiled ones."""
    monkeypatch.chdir(tmp_path)
    picture = np.random.default_rng(0).normal(10, 1, SHAPE)
    paint = np.zeros(SHAPE, np.int32)
    paint[4, 4:10, 4:10] = 1
    write_image("cells.tif", picture, spacing=SPACING, unit="um")
    write_labels("paint.tif", paint, spacing=SPACING, unit="um")
    write_labels("empty.tif", np.zeros(SHAPE, np.int32), spacing=SPACING, unit="um")
    write_labels("short.tif", paint[:7], spacing=SPACING, unit="um")
    write_image("constant.tif", np.full(SHAPE, 7.0), spacing=SPACING, unit="um")
    for name, value in (("nan", np.nan), ("inf", np.inf)):
        spoiled = picture.copy()
        spoiled[1, 2, 3] = value
        write_image(f"{name}.tif", spoiled, spacing=SPACING, unit="um")
    Path("cut.tif").write_bytes(Path("cells.tif").read_bytes()[:3000])
    tifffile.imwrite("rgb.tif", np.random.default_rng(0).integers(0, 255, (*SHAPE, 3), np.uint8), photometric="rgb")
    np.save("channels-last.npy", np.random.default_rng(0).normal(size=(64, 64, 3)))
    Path("settings.json").write_text('{"minuts": 3}')
    Path("settings-bom.json").write_text('{"minuts": 3}', encoding="utf-8-sig")
    Path("broken.json").write_text("{")
    Path("flat.csv").write_text("z,y,x\n1,2,3\n")
    Path("a-masks.tif").write_bytes(Path("paint.tif").read_bytes())
    Path("link.tif").hardlink_to("cells.tif")
    Path("folder.tif").mkdir()
    Path("twice.csv").write_text("z,y,x\n1,2,3\n4,5,6\n1.2,2,2.9\n")
    Path("boxes.csv").write_text("z0,y0,x0,z1,y1,x1\n1,2,3,4,5,6\n")
    Path("zero.tif").touch()
    Path("text.tif").write_text("no picture " * 9)
    for name, method in (("model", "slices"), ("clicked", "centroids"), ("later", "nuclei")):
        Path(name).mkdir()
        Path(name, "model.json").write_text(json.dumps({"schema": 1, "method": method}))
    Path("flat.json").write_text("{}")
    for name in ("raw", "own"):
        write_zarr(Path(f"{name}.zarr"), picture, spacing=SPACING, unit="um", kind="image")
    described = json.loads(Path("raw.zarr/zarr.json").read_text())
    del described["attributes"]["napari-weak3d"]
    Path("raw.zarr/zarr.json").write_text(json.dumps(described))
    return tmp_path


def refuse(line: str, capsys: pytest.CaptureFixture[str]) -> str:
    """Run a line that has to be refused; return what it says. No file may have come, gone or changed."""
    before = {path: path.read_bytes() for path in Path().rglob("*") if path.is_file()}
    assert main(line.split()) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert {path: path.read_bytes() for path in Path().rglob("*") if path.is_file()} == before
    message = shown.err.splitlines()[-1]
    assert message.startswith("error: ")
    assert "Traceback" not in shown.err
    return message


@pytest.mark.parametrize(
    ("line", "parts"),
    [
        ("", ["COMMAND"]),
        ("tran slices", ["tran", "train"]),
        ("train", ["METHOD"]),
        ("train slice", ["'slice'", "slices"]),
        ("train nuclei --image cells.tif --annotation b.csv --out m", ["nuclei", "slices", "centroids", "boxes"]),
        ("train slices --annotation paint.tif --out m", ["--image"]),
        ("train slices --image cells.tif --annotation paint.tif", ["--out"]),
        (f"{TRAIN} --masks paint.tif", ["--masks", "boxes"]),
        (f"{TRAIN} --minutes 1 --steps 2", ["--steps", "--minutes"]),
        (f"{TRAIN} --minutes 0", ["minutes", "0"]),
        (f"{TRAIN} --steps 0", ["--steps 0"]),
        (f"{TRAIN} --set minuts=3", ["'minuts'", "'minutes'"]),
        (f"{TRAIN} --set minutes", ["'minutes'", "name=value"]),
        (f"{TRAIN} --set minutes=soon", ["minutes", "soon"]),
        (f"{TRAIN} --config settings.json", ["'minuts'", "'minutes'"]),
        (f"{TRAIN} --config settings-bom.json", ["'minuts'", "'minutes'"]),
        (f"{TRAIN} --config broken.json", ["broken.json", "JSON"]),
        (f"{TRAIN} --config nowhere.json", ["--config nowhere.json does not exist: check the name"]),
        (f"{TRAIN} --set width=-3", ["width", "'-3'", ">= 4, <= 128, a multiple of 4"]),
        (f"{TRAIN} --device gpu", ["--device", "gpu", "cuda"]),
        (f"{TRAIN} --spacing 1,1", ["1,1", "Z,Y,X"]),
        (f"{TRAIN} --spacing 0,1,1", ["the z spacing is 0: it must be positive, give it with --spacing"]),
        (f"{TRAIN} --spacing -1,1,1", ["z spacing", "-1"]),
        (f"{TRAIN} --spacing -.5,1,1", ["the z spacing is -0.5"]),
        (f"{TRAIN} --region 0:8,0:24", ["0:8,0:24", "z0:z1,y0:y1,x0:x1"]),
        (f"{TRAIN} --region 0:8,5:5,0:24", ["5:5", "y"]),
        (f"{TRAIN} --annotated z:4 --region 0:8,0:24,0:25", ["0:25", "x", "24"]),
        (f"{TRAIN} --annotated z:4 --region 0:2,0:24,0:24", ["only class 1", "enlarge the region"]),
        (f"{TRAIN} --annotated z:4 --paint objects --region 0:2,0:24,0:24", ["(z:4) has an object inside the region"]),
        (f"{TRAIN} --annotated z:5 --paint objects", ["(z:5) has an object", "with --annotated z:4"]),
        (f"{TRAIN} --annotated z:8", ["z:8", "8 slices"]),
        (f"{TRAIN} --annotated w:3", ["w"]),
        (
            f"{TRAIN} --image a.tif b.tif --annotation a.tif b.tif --annotated z:3 --annotated z:4",
            ["2 times", "3 images"],
        ),
        (TRAIN, ["--annotated", "class 1"]),
        (f"{TRAIN} --paint objects", ["--annotated"]),
        (f"{TRAIN} --annotated z:4 --background -1", ["-1"]),
        ("train slices --image cells.tif cells.tif --annotation paint.tif --out m", ["2 --image", "1 --annotation"]),
        ("train slices --image cells.tif --annotation empty.tif --annotated z:1 --out m", ["empty.tif is 0; paint"]),
        ("train slices --image cells.tif --annotation short.tif --annotated z:4 --out m", ["7x24x24", "8x24x24"]),
        ("train slices --image nowhere.tif --annotation paint.tif --out m", ["nowhere.tif"]),
        ("train slices --image nan.tif --annotation paint.tif --annotated z:4 --out m", ["nan", "z 1, y 2, x 3"]),
        ("train slices --image inf.tif --annotation paint.tif --annotated z:4 --out m", ["inf", "z 1, y 2, x 3"]),
        (
            "train slices --image constant.tif --annotation paint.tif --annotated z:4 --out m",
            ["constant.tif", "7", "nothing to see in it"],
        ),
        ("train slices --image cut.tif --annotation paint.tif --annotated z:4 --out m", ["cut.tif"]),
        ("train slices --image rgb.tif --annotation paint.tif --annotated z:4 --out m", ["--channel-axis"]),
        ("train slices --image channels-last.npy --annotation paint.tif --out m", ["--channel-axis"]),
        (f"{TRAIN} --annotated z:4 --from nowhere", ["nowhere"]),
        ("train slices --image cells.tif --annotation paint.tif --annotated z:4 --out cells.tif", ["is a file"]),
        ("train slices --image cells.tif --annotation paint.tif --annotated z:4 --out .", ["other things"]),
        (
            "train boxes --image cells.tif --annotation boxes.csv --out model",
            ["it holds a model of slices: name a new folder, with --out"],
        ),
        ("suggest later cells.tif", ["model in later is of the method 'nuclei', which this version does not know"]),
        ("segment later cells.tif --clicks flat.csv --out l.tif", ["the method 'nuclei', which this version does not"]),
        (
            "train slices --image cells.tif --annotation rgb.tif --annotated z:4 --out m",
            ["rgb.tif", "with one channel"],
        ),
        ("evaluate paint.tif rgb.tif", ["rgb.tif has channels or colours", "save it with one channel"]),
        ("weaken rgb.tif --to slices --out p.tif", ["rgb.tif", "save it with one channel"]),
        ("segment nowhere cells.tif --out labels.tif", ["nowhere"]),
        ("segment . cells.tif --out labels.tif", ["model.json"]),
        ("segment . cells.tif --out labels.png", ["labels.png", ".tif"]),
        ("segment . cells.tif --out nowhere/labels.tif", ["nowhere"]),
        ("segment . cells.tif --out labels.tif --objects objects.xls", ["objects.xls", ".csv"]),
        ("segment model cells.tif --out ./cells.tif", ["--out cells.tif", "read by this command"]),
        ("segment model link.tif --out cells.tif", ["--out cells.tif", "read by this command"]),
        ("segment model cells.tif --out a.tif --classes ./a.tif", ["--classes a.tif", "written by --out"]),
        ("segment model cells.tif --out a.tif --clicks flat.csv --objects flat.csv", ["--objects flat.csv", "read by"]),
        ("segment model own.zarr/0 --out own.zarr", ["own.zarr/0, which is read by this command, lies inside it"]),
        ("segment model own.zarr --out own.zarr/o.tif", ["lies inside own.zarr, which is read by"]),
        ("segment model cells.tif --out model/weights.tif", ["lies inside model, which is read by"]),
        ("segment model cells.tif --out own.zarr --classes own.zarr/c.tif", ["inside own.zarr, which is written by"]),
        ("segment . cells.tif --out raw.zarr", ["raw.zarr", "not written"]),
        ("segment . cells.tif --out folder.tif", ["folder.tif", "is a folder"]),
        ("weaken paint.tif --to slices --out paint.tif", ["--out paint.tif", "read by"]),
        ("weaken a-masks.tif --to boxes --out a.csv", ["a-masks.tif", "read by"]),
        ("weaken paint.tif --to boxes --out a.csv", ["a-masks.tif", "of another file than a.csv"]),
        ("weaken paint.tif --to slices --out flat.ome.tif", ["flat.json", "of another file than flat.ome.tif"]),
        ("demo --steps 1 --out .", ["not of an earlier demo"]),
        ("evaluate paint.tif short.tif", ["(7, 24, 24)", "(8, 24, 24)"]),
        ("evaluate paint.tif boxes.csv", ["two kinds"]),
        ("evaluate paint.tif flat.csv --ignore-slices z:1", ["--ignore-slices", "labels"]),
        ("segment clicked cells.tif --clicks twice.csv --out l.tif", ["points 1 and 3", "z 1, y 2, x 3"]),
        (f"{TRAIN} --minutes nan", ["--minutes", "'nan'"]),
        (f"{TRAIN} --minutes soon", ["--minutes", "'soon'"]),
        ("measure zero.tif --out t.csv", ["zero.tif", "empty", "copy it anew"]),
        ("measure text.tif --out t.csv", ["text.tif", "not a TIFF file", "save it as one"]),
        ("evaluate paint.tif paint.tif --ignore-slices z:8", ["z:8"]),
        ("evaluate paint.tif paint.tif --ignore-slices q:8", ["error: --ignore-slices 'q:8': 'q' is not an axis"]),
        ("evaluate paint.tif paint.tif --ignore-slices z:0-99999999999", ["has more than 1000000 slices"]),
        ("measure paint.tif --image short.tif --out t.csv", ["(7, 24, 24)", "(8, 24, 24)"]),
        ("measure nan.tif --out t.csv", ["nan"]),
        ("measure paint.tif --image nan.tif --out t.csv", ["nan.tif holds nan at z 1, y 2, x 3"]),
        ("weaken empty.tif --to slices --out p.tif", ["empty.tif", "no object"]),
        ("weaken paint.tif --to slices --out p.csv", ["p.csv", ".tif"]),
        ("weaken paint.tif --to slices --slices-per-axis 0,0,0 --out p.tif", ["0,0,0"]),
        ("weaken paint.tif --to slices --slices-per-axis -1,0,0 --out p.tif", ["-1,0,0"]),
        ("weaken paint.tif --to boxes --fraction 1.5 --out p.csv", ["1.5"]),
        ("weaken paint.tif --to boxes --seed -1 --out p.csv", ["--seed", "-1"]),
        ("weaken paint.tif --to boxes --jitter 0.1 --out p.csv", ["--jitter belongs to centroids", "--to boxes"]),
        ("weaken paint.tif --to centroids --jitter nan --out p.csv", ["--jitter", "'nan'", "from 0 to 1"]),
        (f"{TRAIN} --seed one", ["--seed", "one"]),
        ("weaken paint.tif --to outlines --out p.tif", ["outlines"]),
        ("suggest . cells.tif --annotation paint.tif -n 0", ["'0'"]),
    ],
)
def test_mistake_is_told_in_one_line(line, parts, capsys):
    message = refuse(line, capsys)
    for part in parts:
        assert part in message, message


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (
            "train slices --image a/x.tif b/x.tif --annotation paint.tif paint.tif --annotated z:4 --out m",
            "b/x.tif: x.tif",
        ),
        ("train slices --image a/x.tif --annotation b/x.tif --annotated z:4 --out m", "b/x.tif: x.tif"),
        ("evaluate b/x.tif paint.tif", "x.tif"),
        ("evaluate paint.tif b/paint.tif", "b/paint.tif: paint.tif"),
        ("measure b/x.tif --image a/x.tif --out t.csv", "b/x.tif: x.tif"),
    ],
)
def test_of_two_files_of_one_name_the_path_is_told(line, said, capsys):
    for name, source in (("a/x.tif", "cells.tif"), ("b/x.tif", "nan.tif"), ("b/paint.tif", "nan.tif")):
        Path(name).parent.mkdir(exist_ok=True)
        shutil.copy(source, name)
    assert refuse(line, capsys).startswith(f"error: {said} holds ")


@pytest.fixture
def model(folder: Path) -> Path:
    """A folder that looks like a model, to be spoiled."""
    path = folder / "model"
    (path / "model.json").write_text(json.dumps({"schema": 1, "method": "slices"}))
    return path


@pytest.mark.slow
def test_what_is_refused_after_the_start_is_one_line_too(model, capsys):
    (model / "model.json").write_text(json.dumps({"schema": 1, "method": "slices"}))
    assert main(["segment", "model", "cells.tif", "--out", "labels.tif"]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


@pytest.mark.slow
@pytest.mark.parametrize("content", ["", "[]", '{"schema": 999}', '{"schema": 1, "method": "nuclei"}', "{}"])
def test_foreign_or_newer_model_is_told_in_one_line(content, model, capsys):
    (model / "model.json").write_text(content)
    assert "model" in refuse("segment model cells.tif --out labels.tif", capsys)


@pytest.mark.slow
def test_model_without_weights_is_told_in_one_line(model, capsys):
    assert "model" in refuse("segment model cells.tif --out labels.tif", capsys)


def run_on_full_disk(line: str, *, largest: int) -> str:
    """Run a line that has to be refused where no file can grow beyond this size; the last line that it says."""
    code = (
        "import resource, sys\n"
        f"resource.setrlimit(resource.RLIMIT_FSIZE, ({largest}, {largest}))\n"
        "from napari_weak3d.cli import main\n"
        "sys.exit(main(sys.argv[1:]))\n"
    )
    words = [sys.executable, "-B", "-c", code, *line.split()]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    return done.stderr.splitlines()[-1]


def all_files() -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in Path().rglob("*") if path.is_file()}


full_disk = pytest.mark.skipif(sys.platform == "win32", reason="limits on file size are a Unix thing")
TINY = "--annotated z:4 --set width=4 levels=2 members=1 patch=32 pixels=2048 --device cpu"


@full_disk
def test_full_disk_leaves_nothing_half_written():
    before = all_files()
    said = run_on_full_disk("weaken paint.tif --to slices --paint objects --out weak.tif", largest=100)
    assert said.startswith("error: cannot write weak.tif")
    assert all_files() == before


@full_disk
@pytest.mark.slow
def test_full_disk_while_training_leaves_the_old_model_whole_and_a_folder_to_try_again():
    line = f"{TRAIN} {TINY} --steps"
    shutil.rmtree("model")
    for largest in (100, 10_000):  # the first file does not fit, or a later one
        assert run_on_full_disk(f"{line} 2", largest=largest).startswith("error: cannot write model")
        assert not any(Path("model").iterdir())
    assert main(f"{line} 2".split()) == 0
    before = all_files()
    assert run_on_full_disk(f"{line} 3 --from model", largest=10_000).startswith("error: cannot write model")
    assert all_files() == before
    assert main(f"{line} 3 --from model".split()) == 0


@full_disk
@pytest.mark.slow
def test_full_disk_while_segmenting_leaves_no_part_of_the_results():
    assert main(f"{TRAIN} {TINY} --steps 2".split()) == 0
    assert main(["segment", "model", "cells.tif", "--out", "labels.tif"]) == 0
    fits = Path("labels.tif").stat().st_size
    Path("labels.tif").write_text("old")
    before = all_files()
    line = "segment model cells.tif --objects objects.csv --out labels.tif --uncertainty unsure.tif"
    assert "cannot write unsure.tif" in run_on_full_disk(line, largest=fits)
    assert all_files() == before


@pytest.mark.slow
def test_a_folder_of_a_training_that_was_killed_can_be_used_again():
    Path("model/model.json").unlink()
    Path("model/log.csv").touch()
    assert main(f"{TRAIN} {TINY} --steps 2".split()) == 0
    assert Path("model/model.json").is_file()


@pytest.mark.slow
def test_bounds_of_a_setting_are_told_while_segmenting_too(capsys):
    assert main(f"{TRAIN} {TINY} --steps 2".split()) == 0
    capsys.readouterr()
    assert "(it has to be >= 64, <= 4096, a multiple of 16)" in refuse(
        "segment model cells.tif --out l.tif --set tile=-3", capsys
    )
