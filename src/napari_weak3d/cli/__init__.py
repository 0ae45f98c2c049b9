"""The command line: files in, one verb of the workflow, files out.

Importing this costs nothing but argparse: every command imports what it needs inside itself, so ``--help`` is quick.
"""

from __future__ import annotations

import os
import re
import sys
import warnings
from collections.abc import Sequence
from contextlib import suppress

from napari_weak3d.cli.parser import make_parser
from napari_weak3d.cli.report import print_report, print_warning
from napari_weak3d.errors import Weak3DError

EXIT_MISTAKE = 2
"""The user's input is wrong; argparse uses the same number."""
EXIT_INTERRUPTED = 130
"""What shells give a command ended by Ctrl-C."""
EXIT_UNREAD = 141
"""And one ended because nobody reads any more what it prints."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Parameters
    ----------
    arguments
        The words after the program's name; None: those it was started with.

    Returns
    -------
    int
        0; 2 after a mistake in the input, told in one line on standard error; 130 after Ctrl-C; 141, without a word,
        where who reads what is printed has seen enough (``| head -1``).
    """
    try:
        try:
            return _run(sys.argv[1:] if arguments is None else arguments)
        finally:
            sys.stdout.flush()  # else Python does it when it ends, and complains
    except BrokenPipeError:
        _print_no_more()
        return EXIT_UNREAD


def _run(arguments: Sequence[str]) -> int:
    with warnings.catch_warnings():
        warnings.showwarning = print_warning
        try:
            options = make_parser().parse_args(_join_negative_values(arguments))
            print_report(options.run(options), form="json" if options.json else "text")
        except Weak3DError as error:
            return _complain(", ".join(filter(None, (error.message, error.option))))
        except BrokenPipeError:
            raise
        except OSError as error:  # what no reader or writer foresaw: say it, without a traceback
            return _complain(": ".join(str(part) for part in (error.strerror or error, error.filename) if part))
        except MemoryError:
            return _complain("out of memory: the volume does not fit; crop it, or close other programs")
        except KeyboardInterrupt:
            print("interrupted", file=sys.stderr)
            return EXIT_INTERRUPTED
    return 0


def _print_no_more() -> None:
    """Let what is still to be printed go nowhere, as Python's manual advises."""
    with suppress(OSError, ValueError):  # standard output that is no file
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _complain(message: str) -> int:
    """Print a mistake on one line of standard error; return the exit code."""
    print(f"error: {' '.join(message.split())}", file=sys.stderr)
    return EXIT_MISTAKE


def _join_negative_values(arguments: Sequence[str]) -> list[str]:
    """``--spacing -.5,1,1`` -> ``--spacing=-.5,1,1``: argparse takes the value for an option, hiding the mistake."""
    joined: list[str] = []
    for word in arguments:
        negative = re.match(r"-[\d.]", word) and "," in word
        if negative and joined and joined[-1].startswith("--"):
            joined[-1] = f"{joined[-1]}={word}"
        else:
            joined.append(word)
    return joined
