"""How long a slice takes to be redrawn with hundreds of boxes: scrolling, and one box moved.

Run on a quiet machine: ``xvfb-run -a -s "-screen 0 1280x800x24" python benchmarks/boxes_redraw.py``, or on a desktop
without xvfb-run. Prints a table and writes ``results/boxes_redraw.json``.

A napari window of 1280 x 800 with the dock at its tool of boxes, and a volume of 64 x 512 x 512. A step of the slider,
or of a box, is timed until the main thread is free again ("handled": napari's slicing and ours; "processor": the part
of it that this process worked), and until the frame that shows it is swapped ("shown"). The same without boxes says
what napari takes by itself.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from hand import wait_until
from record import RESULTS, Record, find_version, markdown

SHAPE = (64, 512, 512)
SPACING_UM = (1.0, 0.5, 0.5)
GOAL_MS = 50
CASES = {"none": (0, 10), "500 boxes of 10 slices": (500, 10), "500 boxes, all in every slice": (500, SHAPE[0])}
"""How many boxes, and how many slices deep each is."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=30, help="of the slider, per case (default: %(default)s)")
    parser.add_argument("--out", type=Path, default=RESULTS / "boxes_redraw.json")
    options = parser.parse_args()
    record = Record(options.out, what=__doc__.splitlines()[0])
    with tempfile.TemporaryDirectory() as home:
        os.environ |= {"HOME": home, "USERPROFILE": home, "NAPARI_CONFIG": str(Path(home) / "napari.yaml")}
        rows = []
        for case, what, figures in measure(options.steps):
            record.put(case, what, value=figures)
            rows.append([case, what, *(str(value) for value in figures.values())])
    record.put("versions", value={name: find_version(name) for name in ("napari", "vispy", "PyQt6")})
    print(
        markdown(
            ["boxes", "what", "in the slice", "handled (ms)", "95 %", "processor (ms)", "95 %", "shown (ms)", "95 %"],
            rows,
        )
    )
    print(f"goal: handled in about {GOAL_MS} ms")


def measure(steps: int) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Open the window, and time each case."""
    import napari  # noqa: PLC0415  # after the home folder is set: it reads its settings when imported

    viewer = napari.Viewer()
    viewer.window._qt_window.resize(1280, 800)
    image = viewer.add_image(make_volume(), name="volume", scale=SPACING_UM, units=("um",) * 3)
    _, dock = viewer.window.add_plugin_dock_widget("napari-weak3d", "Weak3D: boxes")
    desk = dock.controller.desk
    dock.controller.images.begin()
    wait_until(lambda: not dock.controller.images.waiting, seconds=300)
    watch = FrameWatch(viewer.window._qt_viewer.canvas._scene_canvas.native)
    for case, (count, depth) in CASES.items():
        session = desk.tool.work.session
        session.delete(session.table.ids.tolist())
        session.add(draw_boxes(count, depth=depth), [1] * count, name="draw")
        for axis, plane in ((0, "xy"), (1, "xz")):
            desk.layers.go_to((axis, SHAPE[axis] // 3), image)
            n_shown = len(desk.tool.layer.data)
            targets = SHAPE[axis] // 3 + 1 + np.arange(steps) % 20
            yield (
                case,
                f"scroll {plane}",
                watch.time(
                    [partial(desk.layers.go_to, (axis, int(index)), image) for index in targets], n_shown=n_shown
                ),
            )
        desk.layers.go_to((0, SHAPE[0] // 3), image)
        if count:
            n_shown = len(desk.tool.layer.data)
            ids, box = session.table.ids[:1].tolist(), session.table.corners[:1]
            moves = [partial(session.reshape, ids, box + n % 2, name="move") for n in range(1, steps + 1)]
            yield case, "move a box", watch.time(moves, n_shown=n_shown)
    viewer.close()


def make_volume() -> Any:
    return np.random.default_rng(0).integers(0, 4000, SHAPE).astype(np.uint16)


def draw_boxes(count: int, *, depth: int) -> Any:
    """Boxes (N, 2, 3) of 12 to 32 pixels in the plane, anywhere; the first one crosses the middle third."""
    rng = np.random.default_rng(1)
    sizes = np.column_stack([np.full(count, depth), rng.integers(12, 33, (count, 2))])
    low = (rng.uniform(size=(count, 3)) * (np.array(SHAPE) - sizes)).astype(np.int64)
    low[:1, 0] = min(SHAPE[0] // 3, SHAPE[0] - depth)
    return np.stack([low, low + sizes], axis=1)


class FrameWatch:
    """Times acts until they return, and until the next frame is swapped."""

    def __init__(self, widget: Any) -> None:
        self._swapped_at = 0.0
        self._widget = widget
        widget.frameSwapped.connect(self._note)

    def _note(self) -> None:
        self._swapped_at = time.perf_counter()

    def time(self, acts: list[Callable[[], None]], *, n_shown: int) -> dict[str, Any]:
        """Median and 95th percentile in milliseconds; the first two acts are not counted."""
        from qtpy.QtWidgets import QApplication  # noqa: PLC0415

        handled, shown, busy = [], [], []
        for act in acts:
            begin, busy_before = time.perf_counter(), time.process_time()
            act()
            busy.append(time.process_time() - busy_before)
            handled.append(time.perf_counter() - begin)
            self._widget.update()
            while self._swapped_at < begin + handled[-1]:
                QApplication.processEvents()
            shown.append(self._swapped_at - begin)
            QApplication.processEvents()
        figures: dict[str, Any] = {"in the slice": n_shown}
        for name, seconds in (("handled", handled), ("processor", busy), ("shown", shown)):
            median, high = 1000 * np.percentile(seconds[2:], (50, 95))
            figures |= {f"{name}_ms": round(float(median), 1), f"{name}_p95_ms": round(float(high), 1)}
        return figures


if __name__ == "__main__":
    main()
