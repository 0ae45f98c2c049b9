"""The samples in napari's menu: synthetic volumes, made at once, and real ones, downloaded once and kept."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from napari_weak3d.app.downloads import CELLS, KIDNEY, Download, fetch
from napari_weak3d.app.layer_data import LayerData, image_layers
from napari_weak3d.errors import VolumeError
from napari_weak3d.samples import SYNTHETIC, make_demo
from napari_weak3d.types import Volume

_SEED = 0


def open_nuclei() -> list[LayerData]:
    """Make the demo's volume: a flat stack of touching nuclei, bright and dim ones."""
    return image_layers(make_demo().volume, names=("Nuclei",))


def open_touching_blobs() -> list[LayerData]:
    """Make blobs of which most touch another."""
    return _make("touching-blobs")


def open_tubes() -> list[LayerData]:
    """Make branching tubes, as vessels are."""
    return _make("tubes")


def open_sheets() -> list[LayerData]:
    """Make membranes between cells, as in electron microscopy."""
    return _make("sheets")


def open_anisotropic() -> list[LayerData]:
    """Make blobs in planes four times as far apart as pixels."""
    return _make("anisotropic")


def open_bright_field() -> list[LayerData]:
    """Make cells in transmitted light, of which only borders show."""
    return _make("bright-field")


def open_cells() -> list[LayerData]:
    """Download cells of a monolayer, two layers: membranes and nuclei."""
    return _open_download(CELLS)


def open_kidney() -> list[LayerData]:
    """Download mouse kidney tissue, a layer per emission wavelength."""
    return _open_download(KIDNEY)


def _make(kind: str) -> list[LayerData]:
    info = SYNTHETIC[kind]
    return image_layers(info.make(np.random.default_rng(_SEED)).volume, names=(info.title,))


def _open_download(download: Download) -> list[LayerData]:
    volume = _read_download(fetch(download), download)
    return image_layers(volume, names=tuple(f"{download.title}, {channel}" for channel in download.channels))


def _read_download(file: Path, download: Download) -> Volume:
    """Read a downloaded stack; its channels lie along the one axis that is as long as they are many."""
    import tifffile  # noqa: PLC0415  # a third of a second, for this only

    stored = tifffile.imread(file)
    if stored.ndim != 4 or stored.shape.count(len(download.channels)) != 1:
        raise VolumeError(
            f"{file} is {stored.shape}, not {len(download.channels)} channels of a volume: delete it, and open the "
            "sample again",
            where=str(file),
            value=stored.shape,
        )
    data = np.moveaxis(stored, stored.shape.index(len(download.channels)), 0)
    return Volume(data, spacing=download.spacing_um, unit="um", name=download.title)
