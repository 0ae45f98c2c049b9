"""The methods by name. Strings only: nothing is imported until a method is asked for."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import Any

from napari_weak3d.config import TrainConfig
from napari_weak3d.errors import Weak3DError


@dataclass(frozen=True)
class MethodInfo:
    """Where a method lives, and what of it others need to know.

    Attributes
    ----------
    title, annotation
        What it is called, and the noun it learns from.
    config, model
        "module:Name".
    use_known
        The setting that says whether what is annotated in a volume that is segmented are its objects; "": none does.
    least_score
        The setting that says how sure an object must be; "": none does.
    responses
        The setting that adds response maps to a prediction; "": none does.
    """

    title: str
    annotation: str
    config: str
    model: str
    use_known: str = ""
    least_score: str = ""
    responses: str = ""


METHODS: dict[str, MethodInfo] = {
    "slices": MethodInfo(
        title="A few painted slices (3D U-Net)",
        annotation="Slices",
        config="napari_weak3d.methods.slices.config:SlicesConfig",
        model="napari_weak3d.methods.slices.model:SlicesModel",
    ),
    "centroids": MethodInfo(
        title="One click per cell (BFS-Net)",
        annotation="Centroids",
        config="napari_weak3d.methods.centroids.config:CentroidsConfig",
        model="napari_weak3d.methods.centroids.model:CentroidsModel",
        use_known="use_clicks",
        least_score="peak_threshold",
        responses="responses",
    ),
    "boxes": MethodInfo(
        title="3D boxes, masks for a few (Zhao et al.)",
        annotation="Boxes",
        config="napari_weak3d.methods.boxes.config:BoxesConfig",
        model="napari_weak3d.methods.boxes.model:BoxesModel",
        use_known="use_boxes",
        least_score="score_threshold",
    ),
}


def find_method(name: str) -> MethodInfo:
    """Return the method of this name.

    Raises
    ------
    Weak3DError
        It is not there; the message lists what is.
    """
    if name in METHODS:
        return METHODS[name]
    raise Weak3DError(f"{name!r} is not a method: there is {', '.join(METHODS)}", where="method", value=name)


def load_config(name: str) -> type[TrainConfig]:
    """Return the config class of a method, without importing torch."""
    return load_object(find_method(name).config)  # type: ignore[no-any-return]


def load_object(path: str) -> Any:
    """Import "module:Name"."""
    module, _, attribute = path.partition(":")
    return getattr(import_module(module), attribute)
