"""What can go wrong through a person's input, each error carrying what it is about.

The message says what is wrong, the value, where, and what to do. The command line prints it on one line and exits
with 2; the app shows it at the field or layer it is about. None derives from RuntimeError: torch's out-of-memory and
shape errors do, and must never be mistaken for one of these.
"""

from __future__ import annotations


class Weak3DError(Exception):
    """A mistake that the user can mend.

    Parameters
    ----------
    message
        One sentence or two: what is wrong, the value, where, what to do.
    where
        What it is about: a config field, a file, or a layer's name. Empty where there is no such thing.
    value
        The offending value, as it came in.
    option
        How the command line does what the message says: "with --annotated z:3,10". Only the command line says it: who
        sits in front of the app has never seen an option. Empty where there is none.
    """

    def __init__(self, message: str, *, where: str = "", value: object = None, option: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.where = where
        self.value = value
        self.option = option


class VolumeError(Weak3DError):
    """An image that cannot be read, or that no method can work on (NaN, constant, wrong axes, bad spacing)."""


class AnnotationError(Weak3DError):
    """Paint, clicks or boxes that do not fit the image, are empty, or hold one class only."""


class ConfigError(Weak3DError):
    """A setting that is unknown, of the wrong type, or out of its bounds."""


class ModelError(Weak3DError):
    """A model folder with a missing, foreign, damaged or newer file, or of another method."""


class StorageError(Weak3DError):
    """A result that could not be written: a full disk, a read-only folder."""


class UnsavedError(StorageError):
    """What is annotated could not be written; it is still in the window, and writing it is tried again."""
