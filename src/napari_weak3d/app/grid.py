"""Where a layer's voxels lie in napari's world, and which of its slices a view shows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from napari.layers import Image, Labels
from napari.utils.transforms import Affine
from numpy.typing import NDArray

from napari_weak3d.errors import AnnotationError
from napari_weak3d.types import SliceIndex

N_SPATIAL = 3
_PLACEMENT = ("scale", "translate", "rotate", "shear", "affine", "units", "axis_labels")
"""The attributes of a layer that say where it lies."""
_STILL = 1e-6  # voxels that an index may move across a view, per voxel of view, before the view counts as oblique


@dataclass(frozen=True, eq=False)
class Grid:
    """The three spatial axes of a layer, as a derived layer needs them: shape, and how voxels map to the world.

    Attributes
    ----------
    shape
        (Z, Y, X) in voxels, of the finest level where there are several.
    scale, translate
        (3,) world units per voxel, and the world position of voxel 0.
    rotate
        (3, 3) rotation between scale and translate.
    shear
        (3,) upper triangle of the shear.
    affine
        (4, 4) further transform, applied last.
    units
        One per axis, as napari keeps them.
    axis_labels
        One per axis.
    """

    shape: tuple[int, int, int]
    scale: NDArray[np.float64]
    translate: NDArray[np.float64]
    rotate: NDArray[np.float64]
    shear: NDArray[np.float64]
    affine: NDArray[np.float64]
    units: tuple[Any, ...]
    axis_labels: tuple[str, ...]


def shape_of(layer: Any) -> tuple[int, ...]:
    """Shape of a layer's data in voxels, without the colours of an RGB image: of the finest level."""
    data = layer.data[0] if getattr(layer, "multiscale", False) else layer.data
    return tuple(int(n) for n in data.shape[: layer.ndim])


def grid_of(layer: Any) -> Grid:
    """Read the grid of a layer's last three axes; channels and time come before them.

    Raises
    ------
    ValueError
        The layer has fewer than three axes.
    """
    if layer.ndim < N_SPATIAL:
        raise ValueError(f"layer {layer.name!r} has {layer.ndim} axes: a volume has three")
    axes = list(range(layer.ndim - N_SPATIAL, layer.ndim))
    own = Affine(scale=layer.scale, rotate=layer.rotate, shear=layer.shear, translate=layer.translate, ndim=layer.ndim)
    spatial = own.set_slice(axes)
    z, y, x = shape_of(layer)[-N_SPATIAL:]
    return Grid(
        shape=(z, y, x),
        scale=np.asarray(layer.scale)[
            axes
        ],  # an Affine tells the mirroring of a mirrored axis twice: in scale and rotate
        translate=np.asarray(spatial.translate),
        rotate=np.asarray(layer.rotate)[np.ix_(axes, axes)],
        shear=np.asarray(spatial.shear),
        affine=np.asarray(layer.affine.set_slice(axes).affine_matrix),
        units=tuple(layer.units[-N_SPATIAL:]),
        axis_labels=tuple(layer.axis_labels[-N_SPATIAL:]),
    )


def check_fit(image_layer: Any, shape: Sequence[int], *, name: str) -> None:
    """Check that labels of a shape fit on an image; ``name`` is theirs, for the message.

    Raises
    ------
    AnnotationError
        The shape is not that of the image's last three axes.
    """
    expected = shape_of(image_layer)[-N_SPATIAL:]
    if tuple(shape) != expected:
        theirs, ours = (" x ".join(map(str, each)) for each in (shape, expected))
        raise AnnotationError(
            f"layer {name!r} has shape {theirs}, image {image_layer.name!r} has {ours} "
            "(z, y, x): choose a layer of the image's shape",
            where=name,
            value=tuple(shape),
        )


def labels_on(grid: Grid, data: NDArray[np.int32], *, name: str) -> Any:
    """Make a Labels layer that lies on a grid; it is not in any viewer yet."""
    return Labels(
        data,
        name=name,
        scale=grid.scale,
        translate=grid.translate,
        rotate=grid.rotate,
        shear=grid.shear,
        affine=grid.affine,
        units=grid.units,
        axis_labels=grid.axis_labels,
    )


def lay_on(grid: Grid, layer: Any) -> None:
    """Move a layer of three axes onto a grid."""
    layer.scale, layer.translate = grid.scale, grid.translate
    layer.rotate, layer.shear, layer.affine = grid.rotate, grid.shear, grid.affine
    layer.units, layer.axis_labels = grid.units, grid.axis_labels


def labels_like(layer: Any, data: Any, *, name: str) -> Any:
    """Make a Labels layer that lies where another one does, on all of its axes; it is not in any viewer yet."""
    return Labels(data, name=name, **{each: getattr(layer, each) for each in _PLACEMENT})


def lay_like(layer: Any, moved: Any) -> None:
    """Move a layer to where another one of as many axes lies."""
    for each in _PLACEMENT:
        setattr(moved, each, getattr(layer, each))


def image_on(grid: Grid, data: NDArray[Any], *, name: str) -> Any:
    """Make an Image layer of shares, 0 to 1, that lies on a grid, to look through; it is not in any viewer yet."""
    return Image(
        data,
        name=name,
        scale=grid.scale,
        translate=grid.translate,
        rotate=grid.rotate,
        shear=grid.shear,
        affine=grid.affine,
        units=grid.units,
        axis_labels=grid.axis_labels,
        colormap="inferno",
        blending="additive",
        contrast_limits=(0.0, 1.0),
    )


def find_slice(layer: Any, dims: Any) -> SliceIndex | None:
    """Tell which slice of a layer's last three axes a view shows.

    Parameters
    ----------
    layer
        Any layer of at least three axes, transformed in any way.
    dims
        napari's ``viewer.dims``.

    Returns
    -------
    (axis, index) in the layer's voxels; None where the view is 3D, cuts obliquely through the voxels, shows no plane of
    two spatial axes, or lies outside the layer.
    """
    if dims.ndisplay != 2 or dims.ndim < layer.ndim:
        return None
    factors = _layer_units_per_world(layer, dims)
    point = np.asarray(dims.point, dtype=float)[-layer.ndim :] * factors
    start = np.asarray(layer.world_to_data(point))
    still = np.ones(layer.ndim, dtype=bool)
    for axis in dims.displayed:
        step = np.zeros(dims.ndim)
        step[axis] = 1.0
        moved = np.asarray(layer.world_to_data(point + step[-layer.ndim :] * factors)) - start
        still &= np.abs(moved) <= _STILL * max(float(np.abs(moved).max()), np.finfo(float).tiny)
    fixed = np.flatnonzero(still[-N_SPATIAL:])
    if len(fixed) != 1:
        return None
    axis = int(fixed[0])
    index = round(float(start[-N_SPATIAL:][axis]))  # halves to even, as napari does
    return (axis, index) if 0 <= index < shape_of(layer)[-N_SPATIAL:][axis] else None


def is_turned(layer: Any) -> bool:
    """Whether a layer is rotated or sheared so that no view shows a plane of its voxels; None, no layer, is not."""
    if layer is None or layer.ndim < N_SPATIAL:
        return False
    start = np.asarray(layer.world_to_data((0.0,) * layer.ndim))
    # (data axes, world axes): how far a voxel's index moves along a world axis
    moved = np.abs(np.stack([np.asarray(layer.world_to_data(step)) - start for step in np.eye(layer.ndim)], axis=1))
    still = (moved <= _STILL * moved.max(axis=0))[-N_SPATIAL:, -N_SPATIAL:]
    return not any(
        (still[:, first] & still[:, second]).sum() == 1 for first, second in combinations(range(N_SPATIAL), 2)
    )


def turned_note(layer: Any) -> str:
    """Say that no view shows a plane of a layer's voxels, and what to do; "": one does."""
    if not is_turned(layer):
        return ""
    return (
        f"{layer.name} is rotated or sheared, so none of its own slices can be shown: open it without that, or set "
        "rotate, shear and affine of its layer back in napari's console"
    )


def say_no_slice(layer: Any) -> str:
    """Say why no slice of a layer is shown, and what to do."""
    return turned_note(layer) or "Show one slice of the image in 2D first, in the xy, xz or yz plane"


def time_shown(layer: Any, dims: Any) -> int | None:
    """Tell which index of a layer's first axis, of four, a view shows; None where the view has fewer axes."""
    if dims.ndim < layer.ndim:
        return None
    point = np.asarray(dims.point, dtype=float)[-layer.ndim :] * _layer_units_per_world(layer, dims)
    return round(float(np.asarray(layer.world_to_data(point))[0]))


def world_point(layer: Any, dims: Any, which: SliceIndex, *, time_index: int | None = None) -> tuple[float, ...]:
    """Move the point that a view shows, in world units, the shortest way onto a slice of a layer.

    ``time_index``: of the layer's first axis, of four; None: as it is.
    """
    factors = _layer_units_per_world(layer, dims)
    point = np.asarray(dims.point, dtype=float)
    inside = np.array(layer.world_to_data(point[-layer.ndim :] * factors))
    axis, index = which
    inside[layer.ndim - N_SPATIAL + axis] = index
    if time_index is not None:
        inside[0] = time_index
    point[-layer.ndim :] = np.asarray(layer.data_to_world(inside)) / factors
    return tuple(point.tolist())


def to_voxels(layer: Any, dims: Any, position: Sequence[float]) -> NDArray[np.float64]:
    """Turn a point of the viewer's world, such as the mouse's, into voxels (z, y, x) of a layer."""
    factors = _layer_units_per_world(layer, dims)
    point = np.asarray(position, dtype=float)[-layer.ndim :] * factors
    return np.asarray(layer.world_to_data(point), dtype=float)[-N_SPATIAL:]


def to_world(layer: Any, dims: Any, point: Sequence[float]) -> NDArray[np.float64]:
    """Turn voxels (z, y, x) of a layer into a point of the viewer's world; other axes are as the view has them."""
    factors = _layer_units_per_world(layer, dims)
    world = np.asarray(dims.point, dtype=float)
    inside = np.array(layer.world_to_data(world[-layer.ndim :] * factors), dtype=float)
    inside[-N_SPATIAL:] = point
    world[-layer.ndim :] = np.asarray(layer.data_to_world(inside)) / factors
    return world


def order_across(dims: Any, axis: int) -> tuple[int, ...]:
    """Order of the viewer's axes that shows the plane across one of the last three, the lower axis downwards."""
    first = dims.ndim - N_SPATIAL
    shown = [first + each for each in range(N_SPATIAL) if each != axis]
    return (*range(first), first + axis, *shown)


def _layer_units_per_world(layer: Any, dims: Any) -> NDArray[np.float64]:
    """(ndim,) what a length of the viewer is multiplied by to become one of the layer: its units may differ."""
    world: Sequence[Any] = tuple(dims.units or ())[-layer.ndim :]
    if len(world) != layer.ndim:
        return np.ones(layer.ndim)
    pairs = zip(world, layer.units, strict=True)
    return np.array([1.0 if a == b or not a.is_compatible_with(b) else float((1.0 * a).to(b).m) for a, b in pairs])
