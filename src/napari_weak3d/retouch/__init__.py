"""Another threshold, a smallest object and filled holes for a prediction there is, without asking the networks again.

A prediction keeps the probabilities that its labels were made from (``types.Prediction.probabilities``). From these the
labels are made anew whenever a slider moves. Arrays in, labels out; knows no file and no layer.

What can be prepared is: a uint8 per voxel that says up to which threshold it belongs to an object (so a threshold is
one comparison), and, for objects that may grow, a flood that goes on from where the lowest threshold so far left it.
"""

from napari_weak3d.retouch.retoucher import Retoucher
from napari_weak3d.retouch.settings import Holes, Retouch

__all__ = ["Holes", "Retouch", "Retoucher"]
