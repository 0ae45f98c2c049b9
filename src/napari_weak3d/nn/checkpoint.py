"""What model folders of all methods hold beside ``model.json``: weights, log, and what to tell a volume by."""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor, nn

from napari_weak3d.errors import ModelError, StorageError
from napari_weak3d.io.atomic import atomic_file, remove_file
from napari_weak3d.io.models import write_description
from napari_weak3d.types import Volume

WEIGHTS, LOG, RESUME = "weights.safetensors", "log.csv", "resume.safetensors"
Tensors = Mapping[str, Tensor]
"""Tensors by name."""


@dataclass(frozen=True)
class LogRow:
    """A line of log.csv: steps and seconds since the first training of this model, member, loss."""

    step: int
    seconds: float
    member: int
    loss: float


def identify(volume: Volume) -> str:
    """Hash a volume's shape and values; the file's name, format and dtype do not matter."""
    digest = hashlib.blake2b(repr(volume.data.shape).encode(), digest_size=16)
    for channel in range(volume.n_channels):
        digest.update(np.ascontiguousarray(volume.data[channel], dtype=np.float32).data)
    return digest.hexdigest()


def make_folder(folder: Path) -> None:
    """Make a model's folder, with its parents.

    Raises
    ------
    StorageError
        It cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(
            f"cannot make the model's folder {folder}: {error.strerror}; choose another place",
            where=str(folder),
            value=error,
        ) from error


def write_networks(
    folder: Path,
    parts: Mapping[str, Any],
    *,
    method: str,
    weights: Sequence[Tensors],
    resume: Sequence[Tensors] | None,
) -> None:
    """Write a model's networks and its ``model.json``; that comes last, so a folder with it is whole.

    Parameters
    ----------
    folder
        Made if it is not there.
    parts
        Of ``model.json``, as ``io.models.write_description`` takes them.
    method
        The model's.
    weights
        Of each network as it predicts.
    resume
        What an unfinished training goes on from, of each network; None once it is finished.

    Raises
    ------
    StorageError
        A file cannot be written.
    """
    make_folder(folder)
    save_members(folder / WEIGHTS, weights)
    if resume is not None:
        save_members(folder / RESUME, resume)
    write_description(folder, parts, method=method)
    if resume is None:
        remove_file(folder / RESUME)


def load_resume(folder: Path, *, fraction: float) -> tuple[dict[str, Tensor], ...] | None:
    """Read what a training goes on from that used this fraction of its budget; None where it is finished."""
    file = folder / RESUME
    return load_members(file) if fraction < 1 and file.exists() else None


def save_members(file: Path, members: Sequence[Tensors]) -> None:
    """Write the tensors of each member, whole or not at all."""
    flat = {
        f"member{index}.{name}": tensor.detach().cpu().contiguous()
        for index, tensors in enumerate(members)
        for name, tensor in tensors.items()
    }
    with atomic_file(file) as temporary:
        temporary.write_bytes(save(flat))  # safetensors' own writing tells a full disk in an error of its own


def load_members(file: Path) -> tuple[dict[str, Tensor], ...]:
    """Read what :func:`save_members` wrote; nothing is unpickled.

    Raises
    ------
    ModelError
        The file is missing or damaged, or holds numbers that are not finite.
    """
    try:
        flat = load_file(file)
    except FileNotFoundError:
        raise ModelError(f"the model in {file.parent} has no {file.name}: it is incomplete", where=str(file)) from None
    except (OSError, SafetensorError) as error:
        raise ModelError(f"the model's file {file} is damaged: {error}", where=str(file)) from None
    members: dict[int, dict[str, Tensor]] = {}
    for name, tensor in flat.items():
        if not tensor.isfinite().all():
            raise ModelError(
                f"the model's file {file} is damaged: {name} holds NaN or infinity; train it anew", where=str(file)
            )
        member, _, rest = name.partition(".")
        members.setdefault(int(member.removeprefix("member")), {})[rest] = tensor
    if not members:
        raise ModelError(f"the model's file {file} is damaged: it holds no network", where=str(file))
    return tuple(members[index] for index in sorted(members))


def load_weights(net: nn.Module, weights: Tensors, *, whose: str, where: str) -> None:
    """Put weights into a network.

    Parameters
    ----------
    whose, where
        For the message: "the model", and the field it is about.

    Raises
    ------
    ModelError
        They are another network's; the first difference is named.
    """
    check_weights(net, weights, whose=whose, where=where)
    net.load_state_dict(dict(weights))


def check_weights(net: nn.Module, weights: Tensors, *, whose: str, where: str) -> None:
    """Raise what :func:`load_weights` raises, and leave the network as it is."""
    expected = {name: tuple(tensor.shape) for name, tensor in net.state_dict().items()}
    found = {name: tuple(tensor.shape) for name, tensor in weights.items()}
    for name in (*expected, *found):
        if expected.get(name) != found.get(name):
            raise ModelError(
                f"the weights of {whose} do not fit its network: {name} is {found.get(name, 'missing')}, "
                f"the network has {expected.get(name, 'none')}",
                where=where,
                value=name,
            )


def write_log(folder: Path, rows: Sequence[LogRow]) -> None:
    """Write a row per step."""
    with atomic_file(folder / LOG) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["step", "seconds", "member", "loss"])
        writer.writerows([row.step, f"{row.seconds:.2f}", row.member, f"{row.loss:.5f}"] for row in rows)


def read_log(folder: Path) -> tuple[LogRow, ...]:
    """Read the log; empty where it is missing or damaged, which does the model no harm."""
    try:
        with (folder / LOG).open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        return tuple(
            LogRow(int(row["step"]), float(row["seconds"]), int(row["member"]), float(row["loss"])) for row in rows
        )
    except (OSError, ValueError, KeyError, TypeError, csv.Error):
        return ()
