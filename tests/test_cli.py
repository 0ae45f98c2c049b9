"""The command line: what it prints, writes and returns."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile

import napari_weak3d
from napari_weak3d.cli import main
from napari_weak3d.io.annotations import read_boxes, read_centroids, read_slices
from napari_weak3d.io.volumes import read_labels, read_volume, write_image, write_labels
from napari_weak3d.messages import Stop

COMMANDS = ("demo", "weaken", "train", "segment", "evaluate", "measure", "suggest")
HEAVY = ("torch", "scipy", "zarr", "dask", "tifffile")
SPACING = (2.0, 0.5, 0.5)
TINY = "--set width=4 levels=2 members=1 patch=32 pixels=2048 --steps 2 --device cpu"
"""Training in a moment."""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to work in: truth.tif with two cubes (ids 1 and 2) and cells.tif, their picture."""
    monkeypatch.chdir(tmp_path)
    truth = np.zeros((8, 24, 24), np.int32)
    truth[2:6, 4:10, 4:10] = 1
    truth[2:6, 14:20, 14:20] = 2
    picture = np.random.default_rng(0).normal(10, 1, truth.shape) + 20 * (truth > 0)
    write_labels("truth.tif", truth, spacing=SPACING, unit="um")
    write_image("cells.tif", picture, spacing=SPACING, unit="um")
    return tmp_path


def run(line: str) -> int:
    return main(line.split())


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_help_imports_nothing_heavy(command):
    code = (
        "import sys\n"
        "from napari_weak3d.cli import main\n"
        "try: main(sys.argv[1:])\n"
        "except SystemExit as end: assert end.code == 0\n"
        f"assert not set(sys.modules) & set({HEAVY}), sorted(sys.modules)\n"
    )
    words = [sys.executable, "-c", code, *command.split(), "--help"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "usage: napari-weak3d" in done.stdout


def test_version_is_that_of_the_package(capsys):
    with pytest.raises(SystemExit, match="0"):
        run("--version")
    assert capsys.readouterr().out == f"napari-weak3d {napari_weak3d.__version__}\n"


def test_weakened_slices_are_read_back_as_painted(folder):
    assert run("weaken truth.tif --to slices --slices-per-axis 2,1,0 --paint objects --out paint.tif") == 0
    slices = read_slices("paint.tif", volume=read_volume("cells.tif"))
    truth = read_labels("truth.tif")
    assert slices.annotated == ((0, 2), (0, 6), (1, 12))
    assert slices.paint == "objects"
    np.testing.assert_array_equal(slices.labels[2], truth[2])
    assert read_volume("paint.tif").spacing == SPACING


def test_weakened_classes_are_one_class_and_background(folder, capsys):
    assert run("weaken truth.tif --to slices --slices-per-axis 1,0,0 --out paint.tif") == 0
    assert "z:4" in capsys.readouterr().out
    assert set(np.unique(read_labels("paint.tif"))) == {0, 1}


def test_weakened_centroids_are_the_middles(folder):
    assert run("weaken truth.tif --to centroids --out clicks.csv") == 0
    np.testing.assert_allclose(read_centroids("clicks.csv").points_vox, [[3.5, 6.5, 6.5], [3.5, 16.5, 16.5]])


def test_jitter_moves_clicks_in_its_own_way_for_each_seed(folder):
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        assert run(f"weaken truth.tif --to centroids --jitter 0.1 --seed {seed} --out {name}.csv") == 0
    a, b, c = (read_centroids(f"{name}.csv").points_vox for name in "abc")
    np.testing.assert_array_equal(a, b)
    middles = np.array([[3.5, 6.5, 6.5], [3.5, 16.5, 16.5]])
    for moved in (a - middles, c - middles, a - c):
        assert 0 < np.abs(moved).max() < 6


def test_weakened_boxes_are_tight_and_a_fraction_has_masks(folder):
    assert run("weaken truth.tif --to boxes --fraction 0.5 --seed 3 --out boxes.csv") == 0
    boxes = read_boxes("boxes.csv", masks="boxes-masks.tif")
    assert boxes.corners.tolist() == [[[2, 4, 4], [6, 10, 10]], [[2, 14, 14], [6, 20, 20]]]
    assert boxes.has_mask.sum() == 1


def test_labels_whose_file_has_a_spacing_that_cannot_be_are_weakened_and_scored(folder, capsys):
    tifffile.imwrite(
        "odd.tif", read_labels("truth.tif").astype(np.uint8), imagej=True, metadata={"axes": "ZYX", "spacing": -2}
    )
    for to, out in (("slices", "paint.tif"), ("boxes", "boxes.csv")):
        assert run(f"weaken odd.tif --to {to} --out {out}") == 0
    assert run("evaluate odd.tif truth.tif --json") == 0
    capsys.readouterr()
    assert run("evaluate odd.tif boxes.csv") == 2
    Path("clicks.csv").write_text("z,y,x\n3.5,6.5,6.5\n")
    assert run("evaluate odd.tif clicks.csv") == 2
    assert "z spacing of odd.tif is -2: it must be positive, give it with --spacing" in capsys.readouterr().err


def test_weakening_with_the_same_seed_gives_the_same_files(folder):
    for name in ("a", "b"):
        run(f"weaken truth.tif --to boxes --fraction 0.5 --seed 1 --out {name}.csv")
    assert Path("a.csv").read_bytes() == Path("b.csv").read_bytes()


def test_measure_writes_a_row_per_object_in_the_unit_of_the_spacing(folder, capsys):
    assert run("measure truth.tif --image cells.tif --out table.csv") == 0
    header, first, second = Path("table.csv").read_text().splitlines()
    row = dict(zip(header.split(","), first.split(","), strict=True))
    assert float(row["volume"]) == 4 * 6 * 6 * 0.5
    assert row["unit"] == "um"
    assert second.startswith("2,")
    assert "objects  2" in capsys.readouterr().out


@pytest.mark.filterwarnings("error::napari_weak3d.io.spacing.SpacingWarning")
def test_measure_takes_the_spacing_of_the_labels_where_the_image_has_none(folder, capsys):
    tifffile.imwrite("plain.tif", np.asarray(read_volume("cells.tif").data[0]))
    assert run("measure truth.tif --image plain.tif --out table.csv") == 0
    header, first, _ = Path("table.csv").read_text().splitlines()
    row = dict(zip(header.split(","), first.split(","), strict=True))
    assert (float(row["volume"]), row["unit"]) == (4 * 6 * 6 * 0.5, "um")
    assert capsys.readouterr().err == ""


def test_given_spacing_wins_over_the_file(folder):
    assert run("measure truth.tif --spacing 1,1,1 --out table.csv") == 0
    header, first, _ = Path("table.csv").read_text().splitlines()
    assert float(dict(zip(header.split(","), first.split(","), strict=True))["volume"]) == 4 * 6 * 6


def test_evaluate_of_the_truth_itself_is_perfect(folder, capsys):
    assert run("evaluate truth.tif truth.tif --json") == 0
    scores = json.loads(capsys.readouterr().out)
    assert {scores[name] for name in ("iou", "seg", "mucov", "f1", "ap", "pq")} == {1.0}


def test_evaluate_leaves_ignored_slices_out(folder, capsys):
    truth = read_labels("truth.tif")
    worse = truth.copy()
    worse[3] = 0
    write_labels("worse.tif", worse, spacing=SPACING, unit="um")
    assert run("evaluate worse.tif truth.tif --json") == 0
    assert json.loads(capsys.readouterr().out)["iou"] == pytest.approx(3 / 4)
    assert run("evaluate worse.tif truth.tif --ignore-slices z:3 --json") == 0
    assert json.loads(capsys.readouterr().out)["iou"] == 1.0


def test_evaluate_scores_points(folder, capsys):
    Path("truth.csv").write_text("z,y,x\n3,6,6\n3,16,16\n")
    Path("found.csv").write_text("z,y,x\n3,6,7\n")
    assert run("evaluate found.csv truth.csv --json") == 0
    scores = json.loads(capsys.readouterr().out)
    assert scores["recall"] == 0.5
    assert scores["precision"] == 1.0


def test_evaluate_scores_the_centres_of_labels_against_points_in_the_spacing_of_the_labels(folder, capsys):
    Path("clicks.csv").write_text("z,y,x\n3.5,6.5,6.5\n5.0,16.5,16.5\n5,2,20\n")
    assert run("evaluate truth.tif clicks.csv --json") == 0  # z is 1.5 slices off: 6 of the smallest spacing
    scores = json.loads(capsys.readouterr().out)
    assert (scores["precision"], scores["spacing"]) == (0.5, list(SPACING))
    assert run("evaluate clicks.csv truth.tif --spacing 1,1,1 --json") == 0
    scores = json.loads(capsys.readouterr().out)
    assert (scores["precision"], scores["recall"]) == (pytest.approx(2 / 3), 1.0)


def test_json_is_one_object_with_nan_as_null(capsys):
    from napari_weak3d.cli.report import print_report

    print_report({"loss": float("nan"), "rows": [float("inf"), 1], "deep": {"x": 2.0}}, form="json")
    assert json.loads(capsys.readouterr().out) == {"loss": None, "rows": [None, 1], "deep": {"x": 2.0}}


def test_a_file_name_that_standard_output_cannot_show_is_printed_by_its_numbers(folder):
    words = [sys.executable, "-m", "napari_weak3d.cli", "weaken", "truth.tif", "--to", "slices", "--out", "日.tif"]
    narrow = os.environ | {"PYTHONIOENCODING": "cp1252"}
    done = subprocess.run(words, capture_output=True, text=True, check=False, env=narrow)
    assert done.returncode == 0, done.stderr
    assert "\\u65e5.tif" in done.stdout
    assert Path("日.tif").is_file()


def test_help_config_lists_every_setting(capsys):
    assert run("train slices --help-config --json") == 0
    told = json.loads(capsys.readouterr().out)
    fields = napari_weak3d.load_config("slices").model_fields
    assert set(told) == set(fields)
    assert all(fields[name].description in text for name, text in told.items())
    assert "one of auto cpu cuda mps" in told["device"]
    assert "<= 2147483647" in told["steps"]
    assert "<= 128, a multiple of 4" in told["width"]


@pytest.mark.skipif(sys.platform == "win32", reason="no shell with head")
def test_who_reads_only_the_first_line_hears_no_complaint():
    # More than a pipe holds, so that the writer meets its end.
    code = "import sys; from napari_weak3d.cli import main, commands; "
    code += "commands.run_train = lambda options: {'word': 'x' * 2**20}; sys.exit(main(['train', 'slices']))"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as child:
        child.stdout.read(1)
        child.stdout.close()
        assert child.stderr.read() == b""
    assert child.returncode == 141


def paint_on(*planes, values=(1,)):
    labels = np.zeros((8, 24, 24), np.int32)
    for value in values:
        labels[list(planes), 8 * value : 8 * value + 4, 4:10] = value
    write_labels("paint.tif", labels, spacing=SPACING, unit="um")


@pytest.fixture
def untrained(monkeypatch):
    """No training: what is said before it."""

    def train(*args, **kwargs):
        return iter(())

    monkeypatch.setattr("napari_weak3d.workflow.train", train)
    monkeypatch.setattr("napari_weak3d.cli.bar.follow", lambda job, **rest: None)
    monkeypatch.setattr("napari_weak3d.cli.settings.count_steps", lambda model: 0)
    monkeypatch.setattr("napari_weak3d.cli.settings.find_place", lambda model, config: 1.0)


@pytest.mark.filterwarnings("default::napari_weak3d.io.annotations.SlicesWarning")
def test_complete_slices_that_miss_the_paint_are_a_warning_of_one_line(folder, untrained, capsys):
    paint_on(1, 3, 5)
    for paint, annotated, said in (
        ("classes", "z:2,4,6", "complete slices z:2,4,6 have no paint, and z:1,3,5 are painted"),
        ("objects", "z:1,3,6", "complete slice z:6 has no paint, and z:5 is painted"),
    ):
        line = f"train slices --image cells.tif --annotation paint.tif --paint {paint} --annotated {annotated} --out m"
        assert run(line) == 0
        assert capsys.readouterr().err.splitlines() == [
            f"warning: paint.tif: {said} and not said to be complete; slices are counted from 0"
        ]


def test_the_class_that_is_taken_for_the_background_is_told_if_nobody_said_it(folder, untrained, capsys):
    line = "train slices --image cells.tif --annotation paint.tif --annotated z:1,3 --out m"
    for values, said in (
        ((1, 2), "paint.tif: the painted value 1 is taken for the background; --background says another"),
        ((2,), ""),
    ):
        paint_on(1, 3, values=values)
        assert run(line) == 0
        assert capsys.readouterr().err.strip() == said
    paint_on(1, 3, values=(1, 2))
    assert run(f"{line} --background 2") == 0
    assert capsys.readouterr().err == ""
    Path("paint.json").write_text('{"classes": [{"value": 2, "name": "rest", "background": true}]}')
    assert run(line) == 0
    assert capsys.readouterr().err == ""


@pytest.mark.filterwarnings("default::napari_weak3d.io.spacing.SpacingWarning")
def test_unknown_spacing_is_a_warning_of_one_line(folder, capsys):
    tifffile.imwrite("plain.tif", read_labels("truth.tif"))
    assert run("measure plain.tif --out table.csv") == 0
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("warning: plain.tif")


@pytest.mark.slow
def test_train_segment_suggest_go_through(folder, capsys):
    assert run("weaken truth.tif --to slices --out paint.tif") == 0
    assert run(f"train slices --image cells.tif --annotation paint.tif {TINY} --out model") == 0
    capsys.readouterr()

    line = (
        "segment model cells.tif --out out.tif --classes classes.zarr --uncertainty unsure.tif --objects o.csv --json"
    )
    assert run(line) == 0
    report = json.loads(capsys.readouterr().out)
    labels = read_volume("out.tif")
    assert labels.shape == (8, 24, 24)
    assert labels.spacing == SPACING
    assert len(Path("o.csv").read_text().splitlines()) == 1 + report["objects"]

    assert run("suggest model cells.tif --annotation paint.tif -n 2 --json") == 0
    chosen = json.loads(capsys.readouterr().out)["slices"]
    assert len(chosen) == 2
    assert not set(chosen) & {"z:1", "z:4", "z:7"}

    assert run("suggest model cells.tif -n 8 --json") == 0
    assert set(json.loads(capsys.readouterr().out)["slices"]) == {"z:0", "z:2", "z:3", "z:5", "z:6"}
    assert run("suggest model cells.tif --annotation paint.tif --annotated z:2 --annotated z:4 -n 8 --json") == 0
    assert set(json.loads(capsys.readouterr().out)["slices"]) == {"z:0", "z:3", "z:5", "z:6"}
    assert run("suggest model cells.tif --annotation paint.tif --annotated z:0-7") == 0
    assert "every slice is complete: there is none to suggest" in capsys.readouterr().out
    assert run("segment model cells.tif --out out.tif --classes classes.zarr") == 0  # what we wrote we write again
    assert run("suggest model cells.tif --annotated z:3") == 2
    assert "give both" in capsys.readouterr().err


@pytest.mark.slow
def test_painted_objects_keep_their_ids_and_have_no_classes(folder, capsys):
    assert run("weaken truth.tif --to slices --paint objects --out paint.tif") == 0
    assert run(f"train slices --image cells.tif --annotation paint.tif {TINY} --out model") == 0
    assert run("segment model cells.tif --out out.tif") == 0
    np.testing.assert_array_equal(read_labels("out.tif")[4], read_labels("truth.tif")[4])

    capsys.readouterr()
    assert run("segment model cells.tif --out again.tif --classes classes.tif") == 2
    shown = capsys.readouterr().err
    assert "gives no classes: leave out --classes" in shown
    assert "segmenting" not in shown  # it has not begun
    assert not Path("again.tif").exists()


@pytest.mark.slow
def test_same_steps_and_seed_give_the_same_model(folder):
    run("weaken truth.tif --to slices --out paint.tif")
    for name in ("one", "two"):
        line = f"train slices --image cells.tif --annotation paint.tif {TINY} --seed 5 --out {name}"
        assert run(line) == 0
    assert Path("one/weights.safetensors").read_bytes() == Path("two/weights.safetensors").read_bytes()


@pytest.mark.slow
def test_training_goes_on_from_a_model_on_several_volumes(folder):
    run("weaken truth.tif --to slices --out paint.tif")
    twice = "--image cells.tif cells.tif --annotation paint.tif paint.tif --annotated z:1 z:4"
    assert run(f"train slices {twice} {TINY} --out first") == 0
    assert run(f"train slices {twice} {TINY} --from first --out second") == 0
    assert Path("second/model.json").is_file()


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="Ctrl-C goes to a whole console there")
def test_ctrl_c_ends_a_training_and_keeps_the_model(folder):
    run("weaken truth.tif --to slices --out paint.tif")
    line = f"train slices --image cells.tif --annotation paint.tif {TINY} --steps 1000000 --out model --json"
    words = [sys.executable, "-m", "napari_weak3d.cli", *line.split()]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as child:
        said = b""
        while b"%|" not in said:  # the bar: it trains
            said += os.read(child.stderr.fileno(), 1000) or pytest.fail(said.decode())
        child.send_signal(signal.SIGINT)
        try:
            out, err = child.communicate(timeout=120)
        finally:
            child.kill()
    assert child.returncode == 0, err.decode()
    assert b"stopping after this step, keeping the model" in err
    report = json.loads(out)
    assert (report["finished"], report["steps"] < 1_000_000) == (False, True)
    assert run("segment model cells.tif --out out.tif") == 0


@pytest.mark.slow
@pytest.mark.parametrize(
    ("method", "annotation"),
    [
        ("slices", ("paint.tif", "paint.json")),
        ("centroids", ("clicks.csv",)),
        ("boxes", ("boxes.csv", "boxes-masks.tif")),
    ],
)
def test_demo_of_each_method_writes_files_and_prints_scores(method, annotation, folder, capsys):
    assert run(f"demo --method {method} --steps 2 --out demo --json") == 0
    report = json.loads(capsys.readouterr().out)
    assert {"iou", "seg", "f1"} <= set(report)
    for name in ("image.tif", *annotation, "labels.tif", "picture.png"):
        assert Path("demo", name).stat().st_size > 0


@pytest.mark.slow
def test_a_model_is_gone_on_from_with_its_own_settings(folder, capsys):
    run("weaken truth.tif --to slices --out paint.tif")
    again = "train slices --image cells.tif --annotation paint.tif --device cpu --json"
    run(f"train slices --image cells.tif --annotation paint.tif {TINY} --out first")
    capsys.readouterr()

    assert run(f"{again} --from first --out second") == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["steps"], report["finished"]) == (2, True)
    assert "held_out_iou" not in report["metrics"]  # nothing was held out this time
    assert run(f"{again} --from first --set minutes=0.001 --out third") == 0
    config = json.loads(Path("third/model.json").read_text())["config"]
    assert (config["width"], config["minutes"], config["steps"]) == (4, 0.001, 0)


@pytest.mark.slow
def test_a_stopped_training_goes_on_at_its_place_and_a_longer_one_does_all_its_steps(folder, capsys):
    run("weaken truth.tif --to slices --out paint.tif")
    volume = read_volume("cells.tif")
    sample = napari_weak3d.Sample(volume, read_slices("paint.tif", volume=volume))
    settings = {"width": 4, "levels": 2, "members": 1, "patch": 32, "pixels": 2048, "device": "cpu", "steps": 600}
    config = napari_weak3d.load_config("slices").from_settings(settings)
    job = napari_weak3d.train("slices", [sample], config=config, out=Path("part"))
    while (progress := next(job)).step < 420:  # it tells ten times a second: far from the end it is heard
        pass
    job.send(Stop())
    with pytest.raises(StopIteration):
        next(job)
    done = progress.step
    capsys.readouterr()

    line = "train slices --image cells.tif --annotation paint.tif --device cpu --json --from part"
    for budget, steps, told in (("", 600 - done, f"going on at {done / 600:.0%}"), ("--steps 5", 5, "")):
        assert run(f"{line} {budget} --out whole{steps}") == 0
        shown = capsys.readouterr()
        report = json.loads(shown.out)
        assert (report["steps"], report["finished"]) == (steps, True)
        assert told in shown.err
