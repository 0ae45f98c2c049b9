"""Which commands and options there are; what they do is in :mod:`napari_weak3d.cli.commands`."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import NoReturn, Protocol

from napari_weak3d import __version__
from napari_weak3d.cli import values
from napari_weak3d.cli.report import Report
from napari_weak3d.errors import Weak3DError


class _Commands(Protocol):
    """What ``add_subparsers`` returns; its own type is private."""

    def add_parser(self, name: str, *, help: str, description: str, allow_abbrev: bool) -> argparse.ArgumentParser: ...


class Parser(argparse.ArgumentParser):
    """An argument parser whose complaints are Weak3DErrors: one line, as all others."""

    def error(self, message: str) -> NoReturn:
        """Raise instead of printing the usage and leaving."""
        raise Weak3DError(f"{message} (see: {self.prog} --help)")


def make_parser() -> argparse.ArgumentParser:
    """Return the parser of all commands; the parsed options carry the command as ``run``."""
    parser = Parser(
        prog="napari-weak3d",
        description="3D instance segmentation of microscopy volumes from weak labels.",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    commands: _Commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for add in (_add_open, _add_demo, _add_weaken, _add_train, _add_segment, _add_evaluate, _add_measure, _add_suggest):
        add(commands)
    return parser


def _add_open(commands: _Commands) -> None:
    parser = _add_command(commands, "open", summary="start napari with the dock, at a project or an image")
    parser.add_argument("path", type=Path, nargs="?", metavar="PROJECT|IMAGE", help="project folder, or volume")


def _add_demo(commands: _Commands) -> None:
    parser = _add_command(commands, "demo", summary="train on a synthetic volume and show what comes out")
    parser.add_argument("--method", default="slices", metavar="METHOD", help="slices (the default), centroids or boxes")
    parser.add_argument("--out", type=Path, default=Path("demo"), metavar="DIR", help="folder to write; default: demo")
    _add_budget(parser)


def _add_weaken(commands: _Commands) -> None:
    parser = _add_command(commands, "weaken", summary="make weak labels from a dense truth")
    parser.add_argument("truth", type=Path, metavar="TRUTH", help="label image of object ids")
    parser.add_argument("--to", required=True, choices=("slices", "centroids", "boxes"), help="kind of weak label")
    parser.add_argument(
        "--slices-per-axis",
        type=values.parse_slices_per_axis,
        default=(3, 0, 0),
        metavar="Z,Y,X",
        help="how many slices to paint across each axis, evenly spaced; default: 3,0,0",
    )
    parser.add_argument(
        "--paint", choices=("classes", "objects"), default="classes", help="what to paint; default: classes"
    )
    parser.add_argument(
        "--fraction",
        type=values.parse_fraction,
        default=0.2,
        metavar="F",
        help="part of the boxes that get a mask; default: 0.2",
    )
    parser.add_argument(
        "--jitter",
        type=values.parse_jitter,
        metavar="SHARE",
        help="how far clicks lie beside the middles: sigma, as a share of a cell's diameter; default: 0 (centroids)",
    )
    parser.add_argument(
        "--seed", type=values.parse_seed, default=0, metavar="N", help="start of the random choices; default: 0"
    )
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help=".tif for slices, else .csv")


def _add_train(commands: _Commands) -> None:
    parser = _add_command(commands, "train", summary="train a model on your labels")
    parser.add_argument("method", metavar="METHOD", help="slices, centroids or boxes")
    _add_files(parser, "--image", text="volume to learn from; several: one model of all")
    _add_files(parser, "--annotation", text="painted slices (label image), centroids or boxes (.csv), one per image")
    _add_files(parser, "--masks", text="label image of the boxes' masks, one per image (boxes)")
    _add_annotated(parser)
    _add_paint(parser)
    parser.add_argument(
        "--region",
        type=values.parse_region,
        action="append",
        default=[],
        metavar="z0:z1,y0:y1,x0:x1",
        help="box inside which the annotation is complete; once for all images, or once per image",
    )
    _add_geometry(parser)
    parser.add_argument("--from", type=Path, dest="start", metavar="MODEL", help="go on training this model")
    parser.add_argument("--config", type=Path, metavar="FILE", help="settings as a JSON object")
    _add_settings(parser)
    parser.add_argument("--help-config", action="store_true", help="list the method's settings, and leave")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda", "mps"), help="where to compute; default: auto")
    _add_budget(parser)
    parser.add_argument("--seed", type=values.parse_seed, metavar="N", help="start of every random choice; default: 0")
    parser.add_argument("--out", type=Path, metavar="MODEL", help="model folder to write")


def _add_segment(commands: _Commands) -> None:
    parser = _add_command(commands, "segment", summary="segment a volume with a trained model")
    _add_model_and_image(parser)
    parser.add_argument("--out", type=Path, required=True, metavar="LABELS", help=".tif or .zarr: object ids")
    parser.add_argument("--classes", type=Path, metavar="FILE", help=".tif or .zarr: class values")
    parser.add_argument("--uncertainty", type=Path, metavar="FILE", help=".tif or .zarr: 0 (sure) to 1")
    parser.add_argument("--objects", type=Path, metavar="FILE", help=".csv: a row per object")
    parser.add_argument("--clicks", type=Path, metavar="FILE", help=".csv: cells that are known (centroids)")
    parser.add_argument("--centres-out", type=Path, metavar="FILE", help=".csv: z, y, x, score of what was found")
    _add_geometry(parser)
    _add_settings(parser)


def _add_evaluate(commands: _Commands) -> None:
    parser = _add_command(commands, "evaluate", summary="score a prediction against a truth")
    parser.add_argument("prediction", type=Path, metavar="PREDICTION", help="label image, or CSV of points or boxes")
    parser.add_argument("truth", type=Path, metavar="TRUTH", help="label image, or CSV of points or boxes")
    parser.add_argument(
        "--ignore-slices", nargs="+", action="extend", default=[], metavar="z:3,10", help="slices not to score"
    )
    _add_spacing(parser)


def _add_measure(commands: _Commands) -> None:
    parser = _add_command(commands, "measure", summary="make a table of objects: size, place, intensity")
    parser.add_argument("labels", type=Path, metavar="LABELS", help="label image of object ids")
    parser.add_argument("--image", type=Path, metavar="FILE", help="volume to take intensities from")
    _add_geometry(parser)
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help=".csv")


def _add_suggest(commands: _Commands) -> None:
    parser = _add_command(commands, "suggest", summary="say which slices to paint, or boxes to mask, next")
    _add_model_and_image(parser)
    parser.add_argument(
        "--annotation", type=Path, metavar="FILE", help="what is painted, clicked or boxed by now; without: nothing"
    )
    parser.add_argument("--masks", type=Path, metavar="FILE", help="label image of the boxes' masks (boxes)")
    _add_annotated(parser)
    _add_paint(parser)
    _add_geometry(parser)
    parser.add_argument("-n", type=values.parse_count, default=3, dest="count", help="how many; default: 3")


def _add_command(commands: _Commands, name: str, *, summary: str) -> argparse.ArgumentParser:
    """Add a command that runs the function of its name in ``commands``, imported when it runs."""
    parser = commands.add_parser(name, help=summary, description=summary.capitalize() + ".", allow_abbrev=False)
    parser.set_defaults(run=partial(_run_command, name))
    parser.add_argument("--json", action="store_true", help="print one JSON object and nothing else on standard output")
    return parser


def _run_command(name: str, options: argparse.Namespace) -> Report:
    command: Callable[[argparse.Namespace], Report] = getattr(
        import_module("napari_weak3d.cli.commands"), f"run_{name}"
    )
    return command(options)


def _add_model_and_image(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", type=Path, metavar="MODEL", help="model folder")
    parser.add_argument("image", type=Path, metavar="IMAGE", help="TIFF, OME-TIFF, OME-Zarr or .npy")


def _add_files(parser: argparse.ArgumentParser, option: str, *, text: str) -> None:
    parser.add_argument(option, type=Path, nargs="+", action="extend", default=[], metavar="FILE", help=text)


def _add_annotated(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--annotated",
        nargs="+",
        action="append",
        default=[],
        metavar="AXIS:I,J",
        help="slices that are complete, as z:3,10 y:40; once for all images, or once per image",
    )


def _add_paint(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--paint",
        choices=("classes", "objects"),
        help="what painted values are; default: as the .json says, else classes",
    )
    parser.add_argument("--background", type=int, metavar="VALUE", help="painted value that is background")


def _add_geometry(parser: argparse.ArgumentParser) -> None:
    _add_spacing(parser)
    parser.add_argument("--channel-axis", type=int, metavar="N", help="which axis of the image file is channels")


def _add_spacing(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--spacing", type=values.parse_spacing, metavar="Z,Y,X", help="size of a voxel; default: as the file says"
    )


def _add_settings(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--set",
        type=values.parse_setting,
        nargs="+",
        action="extend",
        default=[],
        dest="settings",
        metavar="NAME=VALUE",
        help="change a setting",
    )


def _add_budget(parser: argparse.ArgumentParser) -> None:
    budget = parser.add_mutually_exclusive_group()
    budget.add_argument("--minutes", type=values.parse_minutes, metavar="M", help="wall time of training")
    budget.add_argument("--steps", type=int, metavar="N", help="optimizer steps instead: repeatable")
