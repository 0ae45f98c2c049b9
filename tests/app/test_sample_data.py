"""Samples in napari's menu, synthetic and downloaded."""

import hashlib
import threading
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
import tifffile
from napari.components import ViewerModel
from npe2 import PluginManager, PluginManifest

from napari_weak3d.app import downloads, sample_data
from napari_weak3d.errors import VolumeError

pytestmark = pytest.mark.window

SYNTHETIC = ("nuclei", "touching-blobs", "tubes", "sheets", "anisotropic", "bright-field")


class _Silent(SimpleHTTPRequestHandler):
    def log_message(self, format, *args):
        """Nothing: the console belongs to pytest."""


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """An empty folder for downloads."""
    import pooch

    monkeypatch.setattr(pooch, "os_cache", lambda project: tmp_path / "cache" / project)
    return tmp_path / "cache" / "napari-weak3d"


@pytest.fixture
def server(tmp_path):
    """A web server over a folder: (folder, address)."""
    folder = tmp_path / "served"
    folder.mkdir()
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Silent, directory=folder)) as http:
        threading.Thread(target=http.serve_forever, daemon=True).start()
        yield folder, f"http://127.0.0.1:{http.server_port}"
        http.shutdown()


def offer(stack, server, *, channels=("a", "b")):
    """Serve a stack as the download of a sample."""
    folder, address = server
    tifffile.imwrite(folder / "stack.tif", stack)
    return replace(
        downloads.CELLS,
        url=f"{address}/stack.tif",
        sha256=hashlib.sha256((folder / "stack.tif").read_bytes()).hexdigest(),
        channels=channels,
    )


@pytest.mark.slow
@pytest.mark.parametrize("key", SYNTHETIC)
def test_synthetic_sample_opens_from_the_menu_with_its_spacing_in_micrometres(key):
    PluginManager.instance().discover()  # napari does when its window opens
    viewer = ViewerModel()
    (layer,) = viewer.open_sample("napari-weak3d", key)
    assert layer.ndim == 3
    assert [str(unit) for unit in layer.units] == ["micrometer"] * 3
    assert layer.axis_labels == ("z", "y", "x")
    assert layer.scale.min() > 0
    assert layer.scale[0] != 1


@pytest.mark.slow
def test_nuclei_are_those_of_the_demo():
    from napari_weak3d.samples import make_demo

    ((data, attributes, kind),) = sample_data.open_nuclei()
    np.testing.assert_array_equal(data, make_demo().volume.data[0])
    assert attributes["scale"] == (1.5, 0.5, 0.5)
    assert kind == "image"


def test_menu_offers_the_synthetic_samples_first_and_says_which_are_downloads():
    manifest = PluginManifest.from_distribution("napari-weak3d")
    samples = manifest.contributions.sample_data
    assert [sample.key for sample in samples] == [*SYNTHETIC, "cells", "kidney"]
    assert ["download" in sample.display_name for sample in samples] == [False] * 6 + [True] * 2


@pytest.mark.parametrize("shape", [(6, 2, 8, 9), (6, 8, 9, 2), (2, 6, 8, 9)], ids=["zcyx", "zyxc", "czyx"])
def test_download_becomes_a_layer_per_channel_wherever_the_file_has_them(shape, server, cache, monkeypatch):
    axis = shape.index(2)
    stack = np.moveaxis(np.arange(2 * 6 * 8 * 9, dtype=np.uint16).reshape(2, 6, 8, 9), 0, axis)
    monkeypatch.setattr(sample_data, "CELLS", offer(stack, server))
    first, second = sample_data.open_cells()
    np.testing.assert_array_equal(first[0], np.take(stack, 0, axis))
    np.testing.assert_array_equal(second[0], np.take(stack, 1, axis))
    assert [layer[1]["name"] for layer in (first, second)] == ["Cells, a", "Cells, b"]
    assert first[1]["scale"] == (0.29, 0.26, 0.26)


def test_download_is_kept_and_not_asked_for_again(server, cache):
    download = offer(np.zeros((6, 2, 8, 9), np.uint8), server)
    kept = downloads.fetch(download)
    (server[0] / "stack.tif").unlink()
    assert downloads.fetch(download) == kept
    assert kept.parent == cache


def test_download_without_a_network_is_told_in_one_line_that_names_what_works(cache):
    gone = replace(downloads.CELLS, url="http://127.0.0.1:9/cells3d.tif")
    with pytest.raises(downloads.DownloadError, match=r"'Cells' .* did not come .*: check the network.*synthetic"):
        downloads.fetch(gone)
    assert not list(cache.glob("*.tif"))


@pytest.mark.slow
def test_download_without_a_network_is_one_notification_in_our_words(cache, monkeypatch):
    from napari.utils.notifications import NotificationManager

    gone = replace(downloads.CELLS, url="http://127.0.0.1:9/cells3d.tif")
    monkeypatch.setattr(sample_data, "CELLS", gone)
    PluginManager.instance().discover()  # napari does when its window opens
    viewer, notifications = ViewerModel(), NotificationManager()
    with pytest.raises(downloads.DownloadError) as caught:
        viewer.open_sample("napari-weak3d", "cells")  # what the menu calls
    notifications.receive_error(caught.type, caught.value, caught.tb)  # where an error of a menu's action ends
    (told,) = notifications.records
    assert str(told.message).startswith("the sample 'Cells' (16 MB from 127.0.0.1:9) did not come")
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__  # the traceback that napari offers beside it is short
    assert not viewer.layers


def test_download_of_another_content_is_refused(server, cache):
    download = offer(np.zeros((6, 2, 8, 9), np.uint8), server)
    with pytest.raises(downloads.DownloadError, match="is another than it was"):
        downloads.fetch(replace(download, sha256="0" * 64))


def test_download_without_pooch_says_what_to_install(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pooch", None)
    with pytest.raises(downloads.DownloadError, match="pip install pooch"):
        downloads.fetch(downloads.KIDNEY)


def test_download_of_other_axes_is_refused_with_its_shape(server, cache, monkeypatch):
    monkeypatch.setattr(sample_data, "CELLS", offer(np.zeros((8, 9), np.uint8), server))
    with pytest.raises(VolumeError, match=r"\(8, 9\), not 2 channels"):
        sample_data.open_cells()
