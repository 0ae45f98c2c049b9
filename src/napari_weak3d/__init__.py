"""3D instance segmentation of microscopy volumes from weak labels.

The public names below are imported when they are first used: importing the package costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0.dev0"

if TYPE_CHECKING:
    from napari_weak3d.cli.bar import follow
    from napari_weak3d.errors import Weak3DError
    from napari_weak3d.io.annotations import (
        read_boxes,
        read_centroids,
        read_slices,
        write_boxes,
        write_centroids,
        write_slices,
    )
    from napari_weak3d.io.volumes import read_labels, read_volume, write_image, write_labels
    from napari_weak3d.measure import measure_objects
    from napari_weak3d.methods import METHODS, load_config
    from napari_weak3d.metrics import class_scores, instance_scores, marker_scores
    from napari_weak3d.samples import make_demo
    from napari_weak3d.types import Boxes, Centroids, PaintClass, Prediction, Progress, Sample, Slices, Volume
    from napari_weak3d.workflow import evaluate, segment, suggest, train

_HOMES = {
    "napari_weak3d.cli.bar": ("follow",),
    "napari_weak3d.errors": ("Weak3DError",),
    "napari_weak3d.io.annotations": (
        *("read_boxes", "read_centroids", "read_slices", "write_boxes", "write_centroids", "write_slices"),
    ),
    "napari_weak3d.io.volumes": ("read_labels", "read_volume", "write_image", "write_labels"),
    "napari_weak3d.measure": ("measure_objects",),
    "napari_weak3d.methods": ("METHODS", "load_config"),
    "napari_weak3d.metrics": ("class_scores", "instance_scores", "marker_scores"),
    "napari_weak3d.samples": ("make_demo",),
    "napari_weak3d.types": ("Boxes", "Centroids", "PaintClass", "Prediction", "Progress", "Sample", "Slices", "Volume"),
    "napari_weak3d.workflow": ("evaluate", "segment", "suggest", "train"),
}
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names}

__all__ = [  # noqa: RUF022  by what they are for
    "train", "segment", "evaluate", "suggest", "follow",
    "METHODS", "load_config",
    "read_volume", "read_labels", "read_slices", "read_centroids", "read_boxes",
    "write_image", "write_labels", "write_slices", "write_centroids", "write_boxes",
    "class_scores", "instance_scores", "marker_scores", "measure_objects", "make_demo",
    "Volume", "Slices", "PaintClass", "Centroids", "Boxes", "Sample", "Progress", "Prediction", "Weak3DError",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    """Import a public name from its module when it is first asked for (PEP 562)."""
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_HOME_OF[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """Names for completion, those not imported yet included."""
    return sorted({*globals(), *__all__})
