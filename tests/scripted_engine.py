"""The real child process with a method that does as its settings say; run as a script by tests."""

import json
import os
import signal
import sys
import threading
import time
from pathlib import Path

import numpy as np
from pydantic import Field

from napari_weak3d.config import TrainConfig
from napari_weak3d.errors import ConfigError
from napari_weak3d.messages import NewSamples, Pause, PreviewSlice, Resume, Stop
from napari_weak3d.methods import METHODS, MethodInfo
from napari_weak3d.types import Prediction, Preview, Progress

ME = "scripted_engine"
DESCRIPTION = {"schema": 1, "method": "scripted"}


class ScriptedConfig(TrainConfig):
    """The one setting says what happens."""

    does: str = Field("steps", title="Does", description="What happens.")


def misbehave(does: str) -> None:
    """Do what libraries, mistakes and systems do."""
    if does == "print":
        print("a library says hello")
        os.system("echo a program says hello")
        os.write(1, b'{"type": "Stop"\n')
    elif does == "read":
        assert sys.stdin.read() == ""
    elif does == "abort":
        os.abort()
    elif does == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    elif does == "hang":
        threading.Event().wait()
    elif does == "runtime":
        raise RuntimeError("the shapes differ")
    elif does == "memory":
        raise RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory")
    elif does == "weak":
        raise ConfigError("width = -1: choose more", where="width", value=-1)


def count_paint(samples: tuple) -> float:
    return float(sum((sample.annotation.labels > 0).sum() for sample in samples))


class ScriptedModel:
    """Trains nothing, and answers all commands."""

    outputs = ()

    @classmethod
    def fit(cls, samples, *, config, folder, start=None):
        folder.mkdir(parents=True, exist_ok=True)
        if config.does == "hang":  # before it hears of anything
            misbehave("hang")
        step, preview, paused = 0, None, False
        while not config.steps or step < config.steps:
            metrics = {"painted": count_paint(samples), "started": float(start is not None)}
            message = "training" if step else "beginning"
            command = yield Progress(step, config.steps or 10**9, message, metrics, preview=preview)
            preview = None
            if step == 0:
                misbehave(config.does)
            if isinstance(command, Stop):
                break
            if isinstance(command, PreviewSlice):
                labels = np.full((2, 3), command.slice[1], np.int32)
                preview = Preview(command.slice, labels, command.sample)
            if isinstance(command, NewSamples):
                samples = command.samples
            if isinstance(command, Pause | Resume):
                paused = isinstance(command, Pause)
            step += not paused
            time.sleep(0.002)  # the work of a step
        (folder / "model.json").write_text(json.dumps({**DESCRIPTION, "steps": step}))
        yield Progress(step, step, "done", {"score": 0.5})
        return cls()

    def predict(self, volume, *, settings=None):
        for step in range(1, 4):
            yield Progress(step, 3, "segmenting")
        while (settings or {}).get("for_ever"):
            yield Progress(1, 3, "segmenting")
            time.sleep(0.002)
        misbehave((settings or {}).get("does", ""))
        return Prediction(labels=np.ones(volume.shape, np.int32))

    def suggest(self, sample, *, count):
        yield Progress(1, 1, "looking")
        return tuple((0, index) for index in range(count))

    @classmethod
    def load(cls, folder: Path):
        return cls()


def main() -> None:
    """Run the child with this method only, cold, and with the limits that the test sets."""
    sys.modules[ME] = sys.modules["__main__"]
    METHODS.clear()
    METHODS["scripted"] = MethodInfo("Scripted", "Slices", f"{ME}:ScriptedConfig", f"{ME}:ScriptedModel")
    from napari_weak3d.worker import __main__ as child
    from napari_weak3d.worker import machine, serving

    machine.warm_up = lambda: None
    serving.IDLE_S = float(os.environ.get("WEAK3D_TEST_IDLE_S", serving.IDLE_S))
    child.CHECKPOINT_S = float(os.environ.get("WEAK3D_TEST_CHECKPOINT_S", child.CHECKPOINT_S))
    child.main(sys.argv[1] if len(sys.argv) > 1 else None)


if __name__ == "__main__":
    main()
