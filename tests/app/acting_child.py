"""A child process without an engine: it speaks the messages, and does as a request's settings say. Run by tests.

Its first argument says how it starts, the last is the folder for previews.
"""

import os
import signal
import sys
from pathlib import Path

import numpy as np

from napari_weak3d.messages import (
    Advanced,
    DeviceInfo,
    Failed,
    Finished,
    Hello,
    Pause,
    PreviewSlice,
    Shown,
    Stop,
    Train,
    decode,
    encode,
)


def say(message) -> None:
    print(encode(message), flush=True)


def misbehave(does: str) -> None:
    if does == "junk":
        print("no message", flush=True)
    elif does == "abort":
        os.abort()
    elif does == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    elif does == "term":
        os.kill(os.getpid(), signal.SIGTERM)
    elif does == "exit":
        print("the last words", file=sys.stderr, flush=True)
        os._exit(7)


def train(request: Train, folder: Path) -> None:
    """Report once, then answer commands until Stop."""
    job = request.job
    if request.settings.get("does") == "silent":
        return
    say(Advanced("of another job", 1, 2))
    say(Advanced(job, 1, 10, "training", {"loss": 0.5}))
    misbehave(request.settings.get("does", ""))
    for line in sys.stdin:
        command = decode(line)
        if isinstance(command, Stop):
            say(Finished(job, {"model": request.model, "stopped": True}))
            return
        if isinstance(command, PreviewSlice):
            file = folder / f"{job}.npy"
            np.save(file, np.full((2, 3), command.slice[1], np.int32))
            say(Shown(job, command.slice, request.images[command.sample], str(file)))
        else:
            say(Advanced(job, 2, 10, "paused" if isinstance(command, Pause) else "training"))


def main() -> None:
    how, folder = sys.argv[1], Path(sys.argv[-1])
    if how == "broken":
        sys.exit("ImportError: no torch here")
    say(Hello("1", "2", (DeviceInfo("cpu", f"{os.getpid()}"),)))
    for line in sys.stdin:
        request = decode(line)
        if isinstance(request, Train):
            train(request, folder)
        elif not isinstance(request, Stop):
            say(Failed(request.job, "AnnotationError", "nothing is painted", "labels", 3))
        if how == "leaves":
            return
        if how == "leaves before the next" and isinstance(request, Train):
            sys.stdin.readline()
            return


if __name__ == "__main__":
    main()
