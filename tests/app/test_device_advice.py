import sys

import pytest

from napari_weak3d.app.device_advice import LEGACY_INDEX, TORCH_INDEX, Environment, advise, describe, find_environment
from napari_weak3d.config import Device
from napari_weak3d.messages import DeviceInfo, Hello

pytestmark = pytest.mark.window

CPU = DeviceInfo("cpu", "x86_64, 4 threads", 16 * 2**30)
CUDA = DeviceInfo("cuda", "NVIDIA H200", 139 * 2**30)
APPLE = DeviceInfo("mps", "Apple GPU", 11 * 2**30)
CPU_BUILD = Hello("1.0", "2.13.0+cpu", (CPU,))
LINUX = Environment("linux", "/home/ada/env/bin/python", "/home/ada/env")
WINDOWS = Environment("win32", r"C:\napari\pythonw.exe", r"C:\napari")


@pytest.mark.parametrize(
    ("devices", "text"),
    [
        ((CUDA, CPU), "Runs on: NVIDIA H200 (139 GB)"),
        ((APPLE, CPU), "Runs on: Apple GPU"),
        ((CPU,), "Runs on: CPU (8 cores)"),
        ((DeviceInfo("cuda", "GPU", None), CPU), "Runs on: GPU"),
    ],
)
def test_the_first_device_is_named(devices, text):
    assert describe(Hello("1.0", "2.13.0", devices), cores=8) == text


def test_a_single_core_is_one():
    assert describe(CPU_BUILD, cores=1) == "Runs on: CPU (1 core)"


def test_the_preferred_device_is_named():
    assert describe(Hello("1.0", "2.13.0", (CUDA, CPU)), device=Device.CPU, cores=4) == "Runs on: CPU (4 cores)"


def test_a_preferred_device_that_is_not_there_is_said():
    assert describe(CPU_BUILD, device=Device.CUDA, cores=4) == "Not found: cuda (there is CPU (4 cores))"


@pytest.mark.parametrize(
    ("hello", "has_nvidia", "environment"),
    [
        (CPU_BUILD, False, LINUX),
        (Hello("1.0", "2.13.0+cu130", (CUDA, CPU)), True, LINUX),
        (Hello("1.0", "2.13.0", (APPLE, CPU)), True, Environment("darwin", "/usr/bin/python3", "/usr")),
    ],
    ids=["no card", "card in use", "a Mac"],
)
def test_where_nothing_can_be_done_there_is_no_advice(hello, has_nvidia, environment):
    assert advise(hello, has_nvidia=has_nvidia, environment=environment) is None


def test_pip_on_linux_takes_the_index_of_torch():
    advice = advise(CPU_BUILD, has_nvidia=True, environment=LINUX)
    assert advice.text.startswith("Your NVIDIA card is not used: this torch is built for the CPU.")
    assert advice.command == (
        f"/home/ada/env/bin/python -m pip install --force-reinstall torch --index-url {TORCH_INDEX}"
    )
    assert LEGACY_INDEX in advice.hint


def test_pip_on_windows_is_run_by_the_python_that_prints():
    advice = advise(CPU_BUILD, has_nvidia=True, environment=WINDOWS)
    assert advice.command.startswith(r"C:\napari\python.exe -m pip install ")


def test_a_path_with_a_space_is_quoted():
    environment = Environment("win32", r"C:\Users\Ada Lovelace\napari\python.exe", r"C:\Users\Ada Lovelace\napari")
    advice = advise(CPU_BUILD, has_nvidia=True, environment=environment)
    assert advice.command.startswith(r'"C:\Users\Ada Lovelace\napari\python.exe" -m pip install ')


def test_an_environment_of_uv_without_pip_asks_uv():
    environment = Environment("linux", "/env/bin/python", "/env", torch_from="uv")
    command = advise(CPU_BUILD, has_nvidia=True, environment=environment).command
    assert command == "uv pip install --python /env/bin/python --reinstall-package torch --torch-backend=auto torch"


def test_a_torch_of_conda_is_replaced_by_conda():
    environment = Environment("linux", "/conda/envs/napari/bin/python", "/conda/envs/napari", torch_from="conda")
    command = advise(Hello("1.0", "2.13.0", (CPU,)), has_nvidia=True, environment=environment).command
    assert command == "conda install --prefix /conda/envs/napari --channel conda-forge pytorch-gpu"


def test_a_torch_for_cuda_that_sees_no_card_needs_a_driver_not_a_command():
    advice = advise(Hello("1.0", "2.13.0+cu130", (CPU,)), has_nvidia=True, environment=LINUX)
    assert advice.command == ""
    assert "2.13.0+cu130" in advice.text
    assert "driver" in advice.text


def test_the_environment_is_that_of_this_process():
    found = find_environment()
    assert (found.platform, found.executable, found.prefix) == (sys.platform, sys.executable, sys.prefix)


def test_a_record_of_conda_tells_where_torch_is_from(tmp_path, monkeypatch):
    (tmp_path / "conda-meta").mkdir()
    (tmp_path / "conda-meta" / "pytorch-2.13.0-cpu_generic_py311.json").touch()
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    assert find_environment().torch_from == "conda"


def test_a_torch_that_pip_put_into_a_conda_environment_is_of_pip(tmp_path, monkeypatch):
    (tmp_path / "conda-meta").mkdir()
    (tmp_path / "conda-meta" / "pytorch-lightning-2.5.json").touch()
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    assert find_environment().torch_from == "pip"


@pytest.mark.parametrize(("has_pip", "expected"), [(True, "pip"), (False, "uv")])
def test_an_environment_made_by_uv_is_of_uv_unless_it_has_pip(tmp_path, monkeypatch, has_pip, expected):
    (tmp_path / "pyvenv.cfg").write_text("home = /usr/bin\nuv = 0.9.1\n", encoding="utf-8")
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    monkeypatch.setattr("importlib.util.find_spec", lambda name: object() if has_pip else None)
    assert find_environment().torch_from == expected
