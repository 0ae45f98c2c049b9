"""The rows that describe objects of a label image."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from napari_weak3d.types import IntLabels, ObjectRow


def list_objects(labels: IntLabels, *, classes: IntLabels | None) -> tuple[ObjectRow, ...]:
    """Describe each object of a label image; the class of its first voxel stands for all, 1 where there are none."""
    boxes = ndimage.find_objects(labels)
    ids = [index + 1 for index, box in enumerate(boxes) if box is not None]
    centres = ndimage.center_of_mass(np.ones(labels.shape, np.uint8), labels, ids) if ids else []
    rows = []
    for number, centre in zip(ids, centres, strict=True):
        box = boxes[number - 1]
        value = 1 if classes is None else int(classes[box][labels[box] == number][0])
        low, high = ((int(z), int(y), int(x)) for z, y, x in ([s.start for s in box], [s.stop for s in box]))
        z, y, x = (float(part) for part in centre)
        rows.append(ObjectRow(number, value, 1.0, (z, y, x), (low, high)))
    return tuple(rows)
