from __future__ import annotations

import pytest
import torch

from napari_weak3d.config import Device
from napari_weak3d.errors import ConfigError
from napari_weak3d.nn import device as devices
from napari_weak3d.nn.device import (
    Precision,
    convolves_like_cpu,
    is_out_of_memory,
    pick_device,
    precision_for,
)

CPU = torch.device("cpu")


@pytest.fixture
def no_gpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)


@pytest.mark.usefixtures("no_gpu")
@pytest.mark.parametrize("device", [Device.AUTO, Device.CPU])
def test_without_a_gpu_auto_and_cpu_mean_the_processor(device):
    assert pick_device(device) == CPU


@pytest.mark.usefixtures("no_gpu")
@pytest.mark.parametrize("device", [Device.CUDA, Device.MPS])
def test_asking_for_a_gpu_that_is_not_there_names_the_setting_and_a_way_out(device):
    with pytest.raises(ConfigError, match="choose auto or cpu") as caught:
        pick_device(device)
    assert (caught.value.where, caught.value.value) == ("device", device.value)


@pytest.mark.usefixtures("no_gpu")
def test_asking_a_torch_without_cuda_for_cuda_says_to_install_another_build(monkeypatch):
    monkeypatch.setattr(torch.version, "cuda", None)
    monkeypatch.setattr(torch.version, "hip", None, raising=False)
    with pytest.raises(ConfigError, match="built without CUDA: install a CUDA build"):
        pick_device(Device.CUDA)


def test_auto_takes_cuda_first(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert pick_device(Device.AUTO).type == "cuda"


def test_auto_passes_over_an_apple_gpu_that_convolves_wrongly_and_says_so(monkeypatch, caplog):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    monkeypatch.setattr(devices, "convolves_like_cpu", lambda device: False)
    assert pick_device(Device.AUTO) == CPU
    assert "Apple GPU" in caplog.text
    with pytest.raises(ConfigError, match="choose cpu"):
        pick_device(Device.MPS)


def test_auto_takes_an_apple_gpu_that_convolves_like_the_processor(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    monkeypatch.setattr(devices, "convolves_like_cpu", lambda device: True)
    assert pick_device(Device.AUTO).type == "mps"


@pytest.mark.slow
def test_the_processor_convolves_like_itself_and_a_device_without_values_does_not():
    assert convolves_like_cpu(CPU)
    assert not convolves_like_cpu(torch.device("meta"))


@pytest.mark.parametrize(
    ("flags", "dtype"),
    [({"avx512_bf16": True}, torch.bfloat16), ({"amx_bf16": True}, torch.bfloat16), ({"avx2": True}, torch.float32)],
)
def test_the_processor_computes_in_bf16_only_with_bf16_units(monkeypatch, flags, dtype):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: flags, raising=False)
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: True)
    assert precision_for(CPU) == Precision(dtype, channels_last=dtype == torch.bfloat16)


@pytest.mark.parametrize(
    ("capability", "dtype"), [((9, 0), torch.bfloat16), ((7, 5), torch.float16), ((6, 1), torch.float32)]
)
def test_a_cuda_device_computes_in_the_half_type_that_it_has(monkeypatch, capability, dtype):
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    precision = precision_for(torch.device("cuda"))
    assert precision.dtype == dtype
    assert precision.needs_scaler == (dtype == torch.float16)


def test_an_apple_gpu_computes_in_fp32():
    assert precision_for(torch.device("mps")) == Precision(torch.float32, channels_last=False)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
def test_convolutions_run_in_the_dtype_of_the_precision(dtype):
    with Precision(dtype, channels_last=False).autocast(CPU):
        output = torch.nn.functional.conv3d(torch.ones(1, 1, 3, 3, 3), torch.ones(1, 1, 3, 3, 3))
    assert output.dtype == dtype


def test_a_real_failed_allocation_is_recognised_as_out_of_memory():
    with pytest.raises(RuntimeError) as caught:
        torch.empty(10**15)
    assert is_out_of_memory(caught.value)


@pytest.mark.parametrize(
    "error",
    [MemoryError(), torch.OutOfMemoryError("x"), RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED")],
)
def test_every_kind_of_running_out_of_memory_is_recognised(error):
    assert is_out_of_memory(error)


@pytest.mark.parametrize("error", [RuntimeError("shape '[2]' is invalid"), ValueError("can't allocate memory")])
def test_other_errors_are_not_taken_for_running_out_of_memory(error):
    assert not is_out_of_memory(error)
