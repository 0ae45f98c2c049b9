"""How long the viewer takes to draw what the mouse does: painting and scrolling, idle and while a model is trained.

Run on a quiet machine: ``xvfb-run -a -s "-screen 0 1280x800x24" python benchmarks/latency.py``, or on a desktop without
xvfb-run. Prints a table and writes ``results/latency.json``.

A napari window of 1280 x 800 with the dock, a volume of 64 x 1024 x 1024 uint16 of which three z slices are painted and
complete, its project in a temporary folder with autosave as users have it. A hand (:mod:`hand`) paints strokes of 30
moves, one each 16 ms, and turns the wheel through the slices. A time runs from the moment an event is due until the
frame that is drawn after it has been handled is composed into the window and swapped (``QOpenGLWidget.frameSwapped``):
what a busy main thread keeps waiting counts, the way from X server to screen does not. No event is merged with another.
One stroke and ten notches before the clock warm the window up, and the child process has torch imported. Beside that:
how soon the first preview comes after Train, and how soon Stop is answered and the model so far is kept.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hand import Act, Stopwatch, plan_scroll, plan_strokes, wait_until
from record import RESULTS, Record, find_version, markdown

SHAPE = (64, 1024, 1024)
PAINTED = (10, 31, 52)
SPACING_UM = (1.0, 0.5, 0.5)
_PAINT_IN = 20
"""The slice that the hand paints in: none of the complete ones."""
_SCROLL_S = 0.1
_SLOW_S = 0.1


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--strokes", type=int, default=10, help="of 30 moves, per state (default: %(default)s)")
    parser.add_argument("--notches", type=int, default=100, help="of the wheel, per state (default: %(default)s)")
    parser.add_argument("--out", type=Path, default=RESULTS / "latency.json")
    options = parser.parse_args()
    what = "Seconds from when a mouse event is due to the frame that shows it, with one window of 1280 x 800."
    record = Record(options.out, what=what)
    with tempfile.TemporaryDirectory() as home:
        _use_as_home(Path(home))
        found = measure(strokes=options.strokes, notches=options.notches)
    rows = []
    for state, kinds in found["seconds"].items():
        for kind, seconds in kinds.items():
            value = summarise(seconds)
            record.put(state, kind, value=value | found["meanwhile"][state][kind])
            rows.append([kind, state, *(f"{value[name]:.3f}" for name in ("median", "p95", "max", "over 0.1 s"))])
    record.put("window", value=found["window"])
    record.put("job", value=found["training"])
    print(", ".join(f"{name} {seconds:.2f}" for name, seconds in found["training"].items()))
    print(markdown(["mouse", "meanwhile", "median (s)", "95 %", "max", "share over 0.1 s"], sorted(rows)))


def summarise(seconds: Sequence[float]) -> dict[str, float]:
    """Median, 95th percentile and maximum in seconds, and the share of events that took over 0.1 s."""
    median, p95 = np.percentile(seconds, (50, 95))
    slow = float(np.mean(np.greater(seconds, _SLOW_S)))
    figures = {"median": median, "p95": p95, "max": max(seconds), "over 0.1 s": slow}
    return {"events": len(seconds), **{name: round(float(value), 4) for name, value in figures.items()}}


def measure(*, strokes: int, notches: int) -> dict[str, Any]:
    """Open the window, time the hand while nothing else runs and while a training does, and close it."""
    import napari  # noqa: PLC0415  # after the home folder is set: it reads its settings when imported

    viewer = napari.Viewer()
    viewer.window._qt_window.resize(1280, 800)
    layer = viewer.add_image(make_volume(), name="volume", scale=SPACING_UM, units=("um",) * 3)
    _, dock = viewer.window.add_plugin_dock_widget("napari-weak3d", "Weak3D: slices")
    desk = dock.controller.desk
    dock.controller.images.begin()
    paint_slices(desk, layer)
    wait_until(lambda: not dock.controller.images.waiting, seconds=300)
    canvas = viewer.window._qt_viewer.canvas._scene_canvas
    stopwatch, watch = Stopwatch(canvas), Meanwhile(desk)
    found: dict[str, Any] = {"seconds": {}, "meanwhile": {}, "window": describe_window(canvas)}
    wait_until(lambda: watch.child_is_there, seconds=120)
    for plan in plan_both(1, 10, size=canvas.size).values():
        stopwatch.time(plan)
    for state in ("idle", "training"):
        if state == "training":
            found["training"] = {"first preview after Train (s)": begin_training(dock.controller, watch)}
        found["seconds"][state], found["meanwhile"][state] = {}, {}
        for kind, plan in plan_both(strokes, notches, size=canvas.size).items():
            desk.layers.go_to((0, _PAINT_IN), layer)
            before = watch.counts()
            found["seconds"][state][kind] = stopwatch.time(plan)
            found["meanwhile"][state][kind] = watch.since(before)
            print(state, kind, summarise(found["seconds"][state][kind]), watch.since(before), flush=True)
    found["training"] |= stop_training(dock.controller)
    dock.controller.kill()
    viewer.close()
    return found


def plan_both(strokes: int, notches: int, *, size: tuple[int, int]) -> dict[str, list[Act]]:
    """Plan what the hand does in each state."""
    return {
        "painting": plan_strokes(strokes, moves=30, size=size),
        "scrolling": plan_scroll(notches, every=_SCROLL_S, size=size),
    }


def make_volume() -> Any:
    """Blobs, of which a small volume is repeated: (Z, Y, X) uint16."""
    blobs = _small_blobs().volume.data[0].astype(np.float32)
    grey = np.rint(blobs / blobs.max() * 4000).astype(np.uint16)
    return np.tile(grey, np.floor_divide(SHAPE, grey.shape))


def _small_blobs() -> Any:
    from napari_weak3d.samples import make_blobs  # noqa: PLC0415

    return make_blobs(np.random.default_rng(0), shape=(32, 128, 128), spacing=SPACING_UM, diameter_um=10.0)


def paint_slices(desk: Any, layer: Any) -> None:
    """Paint the objects of three slices, mark them complete, and take up the brush in another slice."""
    labels = _small_blobs().labels
    paint = desk.tool.paint_layer
    for z in PAINTED:
        plane = np.tile(labels[z % len(labels)], np.floor_divide(SHAPE[1:], labels.shape[1:]))
        desk.layers.go_to((0, z), layer)
        y, x = np.nonzero(plane)
        paint.data_setitem((np.full_like(y, z), y, x), 2)
        desk.tool.complete_shown()
    desk.layers.go_to((0, _PAINT_IN), layer)
    paint.brush_size = 20
    paint.mode = "paint"


def begin_training(controller: Any, watch: Meanwhile) -> float:
    """Press Train, longer than the hand takes, and wait until the first preview is there; seconds that took."""
    controller.panels.train.minutes.setValue(30)
    before, start = watch.counts(), time.perf_counter()
    controller.train()
    bar = controller.panels.train.messages
    for button in bar.answer_buttons:
        if button.text() == "Only the painted voxels count":
            button.click()
    wait_until(lambda: watch.since(before)["previews"] > 0, seconds=600)
    return time.perf_counter() - start


def stop_training(controller: Any) -> dict[str, float]:
    """Press Stop; seconds until the panel says so, and until the model so far is in the project."""
    desk, button, ended = controller.desk, controller.panels.train.buttons.stop, []
    desk.jobs.finished.connect(lambda _: ended.append(time.perf_counter()))
    start = time.perf_counter()
    button.click()
    wait_until(lambda: not button.isEnabled() or not button.isVisible(), seconds=600)
    answered = time.perf_counter() - start
    wait_until(lambda: bool(ended), seconds=600)
    return {"Stop answered (s)": answered, "model kept after Stop (s)": ended[0] - start}


class Meanwhile:
    """Counts what the hand has done, and what goes on besides: autosave's writes, previews, reports of the training."""

    def __init__(self, desk: Any) -> None:
        self.child_is_there = False
        self._counts = dict.fromkeys(("strokes", "slices shown", "saves", "previews", "reports"), 0)
        desk.jobs.hello.connect(self._on_hello)
        desk.tool.paint_layer.events.paint.connect(lambda: self._count("strokes"))
        desk.layers.slice_shown.connect(lambda: self._count("slices shown"))
        desk.autosave.saved.connect(lambda _: self._count("saves"))
        desk.jobs.shown.connect(lambda _preview, _image: self._count("previews"))
        desk.jobs.advanced.connect(lambda _: self._count("reports"))

    def _on_hello(self, hello: object) -> None:
        self.child_is_there = True

    def _count(self, name: str) -> None:
        self._counts[name] += 1

    def counts(self) -> dict[str, int]:
        """How many so far."""
        return dict(self._counts)

    def since(self, before: dict[str, int]) -> dict[str, int]:
        """How many since then."""
        return {name: count - before[name] for name, count in self._counts.items()}


def describe_window(canvas: Any) -> dict[str, Any]:
    """Name what draws, and how busy the machine is besides."""
    from vispy.gloo import gl  # noqa: PLC0415

    canvas.set_current()
    versions = {package: find_version(package) for package in ("napari", "PyQt6", "PySide6") if find_version(package)}
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    return {"canvas": list(canvas.size), "opengl": gl.glGetParameter(gl.GL_RENDERER), "load before": load, **versions}


def _use_as_home(folder: Path) -> None:
    """Keep projects and settings of whoever runs this out of it."""
    os.environ |= {"HOME": str(folder), "USERPROFILE": str(folder), "NAPARI_CONFIG": str(folder / "napari.yaml")}


if __name__ == "__main__":
    main()
