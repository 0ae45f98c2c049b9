"""Make the pictures of the dock: python docs/make_dock_pictures.py (some minutes; needs napari and a display).

On Linux without a screen: xvfb-run -a -s "-screen 0 1280x800x24" python docs/make_dock_pictures.py. Everything shown is
synthetic, and painted, trained and segmented while the script runs.
"""

import tempfile
from collections.abc import Callable
from pathlib import Path
from time import monotonic

import napari
import numpy as np
from napari.layers import Image, Labels
from qtpy.QtCore import QEventLoop, QTimer
from skimage.io import imsave

from napari_weak3d.app import recent
from napari_weak3d.app.controller import Controller, controller_of
from napari_weak3d.app.jobs import JobState
from napari_weak3d.samples import click_centroids, make_demo

IMAGES = Path(__file__).parent / "images"
SIZE = (1280, 800)
STEPS = 240
"""Instead of minutes: on a slow or busy machine the pictures take longer, and show the same."""
PAINTED = (26, 5, 16)
SHOWN = 11
"""Between painted slices: what is seen there was never painted."""
LONGEST_S = 3600
MOST_BYTES = 400_000


def main() -> None:
    with tempfile.TemporaryDirectory() as home:
        recent.home = lambda: Path(home)  # the project goes there
        viewer = napari.Viewer(show=True)
        viewer.window._qt_window.resize(*SIZE)
        viewer.open_sample("napari-weak3d", "nuclei")
        viewer.window.add_plugin_dock_widget("napari-weak3d", "Weak3D: slices")
        controller = controller_of(viewer)
        pump(2)
        paint(controller)
        take(viewer, "dock-painting.png")
        train(controller)
        take(viewer, "dock-training.png")
        wait(lambda: find_result(viewer) is not None)
        wait(lambda: controller.desk.jobs.state is JobState.IDLE)
        take(viewer, "dock-result.png")
        show_in_3d(viewer)
        take(viewer, "result-3d.png")
        viewer.close()
        for tool in ("centroids", "boxes"):
            show_tool(tool)


def show_tool(tool: str) -> None:
    """Annotate all nuclei in another way, at another tool."""
    viewer = napari.Viewer(show=True)
    viewer.window._qt_window.resize(*SIZE)
    viewer.open_sample("napari-weak3d", "nuclei")
    viewer.window.add_plugin_dock_widget("napari-weak3d", f"Weak3D: {tool}")
    controller = controller_of(viewer)
    controller.panels.image.begin_button.click()
    wait(lambda: not controller.images.waiting)
    (image,) = (layer for layer in viewer.layers if isinstance(layer, Image))
    truth, same_grid = make_demo().labels, {"scale": image.scale, "units": image.units}
    if tool == "centroids":
        given = viewer.add_points(click_centroids(truth, rng=np.random.default_rng(0)).points_vox, **same_grid)
        controller.desk.tool.take_points(given)
    else:
        given = viewer.add_labels(truth, **same_grid)
        controller.desk.tool.take_over(given)
        controller.desk.tool.work.choose(())
    viewer.layers.remove(given)
    viewer.layers.selection.active = controller.desk.tool.layer
    show_slice(viewer, SHOWN)
    take(viewer, f"dock-{tool}.png")
    viewer.close()


def paint(controller: Controller) -> None:
    """Paint nuclei as objects in a few slices, and complete these."""
    truth = make_demo().labels
    controller.panels.image.begin_button.click()
    pump(1)
    tool, viewer = controller.desk.tool, controller.viewer
    tool.panel.paint_chosen.emit("objects")
    for z in PAINTED:
        show_slice(viewer, z)
        ids = truth[z][truth[z] > 0]
        rows, columns = np.nonzero(truth[z])
        tool.paint_layer.data_setitem((np.full_like(rows, z), rows, columns), ids)
        tool.complete_shown()
        pump(0.5)


def train(controller: Controller) -> None:
    """Press Train, and wait for a preview that is worth looking at."""
    jobs, parts = controller.desk.jobs, []
    jobs.advanced.connect(lambda progress: parts.append(progress.step / max(progress.total, 1)))
    previews = []
    jobs.shown.connect(lambda *_: previews.append(parts[-1] if parts else 0))
    show_slice(controller.viewer, SHOWN)
    controller.panels.train.set_settings({"steps": STEPS})
    controller.panels.train.buttons.train.click()
    wait(lambda: previews and previews[-1] > 0.6)


def show_slice(viewer: napari.Viewer, z: int) -> None:
    viewer.dims.set_current_step(0, z)
    pump(0.3)


def find_result(viewer: napari.Viewer) -> Labels | None:
    """Return the layer of the result, if it is there."""
    found = [layer for layer in viewer.layers if isinstance(layer, Labels) and layer.name.endswith("result")]
    return found[-1] if found else None


def show_in_3d(viewer: napari.Viewer) -> None:
    """Show the result alone, in 3D, from above and to the side."""
    result = find_result(viewer)
    for layer in viewer.layers:
        layer.visible = layer is result
    viewer.layers.selection.active = result
    viewer.dims.ndisplay = 3
    viewer.reset_view()
    viewer.camera.angles = (0, -30, 130)
    pump(2)


def take(viewer: napari.Viewer, name: str) -> None:
    """Write the whole window to a PNG, small enough for a page."""
    pump(1)
    IMAGES.mkdir(exist_ok=True)
    imsave(IMAGES / name, viewer.screenshot(canvas_only=False, flash=False)[..., :3], check_contrast=False)
    size = (IMAGES / name).stat().st_size
    print(name, size)
    assert size < MOST_BYTES, f"{name} has {size} bytes: crop it or show less"


def pump(seconds: float) -> None:
    """Let napari draw and answer for a while, without taking time from the training."""
    loop = QEventLoop()
    QTimer.singleShot(round(1000 * seconds), loop.quit)
    loop.exec()


def wait(condition: Callable[[], object]) -> None:
    """Let napari go on until something is so."""
    end = monotonic() + LONGEST_S
    while not condition():
        if monotonic() > end:
            raise TimeoutError("napari did not come so far: see the last picture")
        pump(0.2)


if __name__ == "__main__":
    main()
