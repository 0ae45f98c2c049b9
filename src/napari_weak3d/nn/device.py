"""Where to compute, and in which precision: the machine is asked, nothing is assumed."""

from __future__ import annotations

import logging
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from napari_weak3d.config import Device
from napari_weak3d.errors import ConfigError

_log = logging.getLogger(__name__)

_BF16_UNITS = ("avx512_bf16", "amx_bf16")
"""Processor flags that stand for bf16 dot products in hardware; without them bf16 is emulated and slower than fp32."""

_OUT_OF_MEMORY_TEXTS = (
    "defaultcpuallocator: can't allocate memory",
    "defaultcpuallocator: not enough memory",  # the same on Windows
    "cudnn_status_alloc_failed",
    "cublas_status_alloc_failed",
    "cuda error: out of memory",
    "mps backend out of memory",
    "could not create a memory object",  # oneDNN
)


@dataclass(frozen=True)
class Precision:
    """How to compute on a device.

    Attributes
    ----------
    dtype
        What autocast turns convolutions into; float32 means no autocast.
    channels_last
        Whether networks and batches should be laid out as ``torch.channels_last_3d``.
    """

    dtype: torch.dtype
    channels_last: bool

    @property
    def memory_format(self) -> torch.memory_format:
        """The layout as torch takes it."""
        return torch.channels_last_3d if self.channels_last else torch.contiguous_format

    @property
    def needs_scaler(self) -> bool:
        """Whether gradients underflow without a GradScaler (float16 only)."""
        return self.dtype == torch.float16

    def autocast(self, device: torch.device) -> AbstractContextManager[None]:
        """Give the context to run a network in on ``device``."""
        enabled = self.dtype != torch.float32
        dtype = self.dtype if enabled else None
        return torch.autocast(device.type, dtype=dtype, enabled=enabled)


def pick_device(device: Device) -> torch.device:
    """Turn what the user asked for into a torch device.

    ``auto`` takes CUDA, then an Apple GPU whose 3D convolutions agree with the processor's, then the processor; an
    Apple GPU that is passed over is named in the log.

    Raises
    ------
    ConfigError
        The device asked for is not there, or computes wrong results.
    """
    if device is Device.CUDA and not torch.cuda.is_available():
        raise ConfigError(_why_no_cuda(), where="device", value=device.value)
    if device is Device.MPS:
        _require_mps()
    if device is Device.CUDA or (device is Device.AUTO and torch.cuda.is_available()):
        return torch.device("cuda")
    if device is Device.MPS or (device is Device.AUTO and _mps_can_be_trusted()):
        return torch.device("mps")
    return torch.device("cpu")


def _why_no_cuda() -> str:
    build = torch.__version__
    if torch.version.cuda is None and torch.version.hip is None:
        return (
            f"device = cuda, but the installed torch ({build}) is built without CUDA: install a CUDA build "
            "(the command for this system is at https://pytorch.org/get-started/locally) or choose auto or cpu"
        )
    return f"device = cuda, but torch {build} finds no CUDA device: check the driver, or choose auto or cpu"


def _require_mps() -> None:
    if not torch.backends.mps.is_available():
        raise ConfigError(
            "device = mps, but there is no Apple GPU that this torch can use: choose auto or cpu",
            where="device",
            value=Device.MPS.value,
        )
    if not convolves_like_cpu(torch.device("mps")):
        raise ConfigError(
            f"device = mps, but 3D convolutions of torch {torch.__version__} on this Apple GPU differ from the "
            "processor's: choose cpu, or try another version of torch",
            where="device",
            value=Device.MPS.value,
        )


def _mps_can_be_trusted() -> bool:
    if not torch.backends.mps.is_available():
        return False
    trusted = convolves_like_cpu(torch.device("mps"))
    if not trusted:
        _log.warning("3D convolutions on this Apple GPU differ from the processor's: the processor is used instead")
    return trusted


def convolves_like_cpu(device: torch.device) -> bool:
    """Tell whether a 3D convolution and its gradients on ``device`` equal the processor's (to 1e-3, float32).

    A device on which the convolution is not there at all counts as different.
    """
    generator = torch.Generator().manual_seed(0)
    image = torch.randn(1, 4, 9, 10, 11, generator=generator)
    weight = torch.randn(6, 4, 3, 3, 3, generator=generator)
    try:
        return all(
            torch.allclose(here, there, rtol=1e-3, atol=1e-3)
            for here, there in zip(
                _convolve(image, weight, device=torch.device("cpu")),
                _convolve(image, weight, device=device),
                strict=True,
            )
        )
    except (RuntimeError, NotImplementedError):
        return False


def _convolve(image: torch.Tensor, weight: torch.Tensor, *, device: torch.device) -> list[torch.Tensor]:
    """Output and both gradients of one padded convolution, on the processor."""
    image, weight = image.to(device).requires_grad_(), weight.to(device).requires_grad_()
    output = nn.functional.conv3d(image, weight, padding=1)
    gradients = torch.autograd.grad(output.square().mean(), (image, weight))
    return [tensor.detach().cpu() for tensor in (output, *gradients)]


def precision_for(device: torch.device) -> Precision:
    """Choose the fastest precision that trains well on ``device``.

    Processor: bf16 with channels last where it has bf16 units (1.8 to 2.8 times as fast as fp32 there), else fp32.
    CUDA: bf16 where the hardware has it (compute capability 8), else fp16 from capability 7 (tensor cores), else
    fp32. Apple GPUs: fp32.
    """
    if device.type == "cpu":
        fast = _cpu_has_bf16_units()
        return Precision(torch.bfloat16 if fast else torch.float32, channels_last=fast)
    if device.type == "cuda":
        capability = torch.cuda.get_device_capability(device)
        if capability >= (8, 0):
            return Precision(torch.bfloat16, channels_last=True)
        if capability >= (7, 0):
            return Precision(torch.float16, channels_last=True)
    return Precision(torch.float32, channels_last=False)


def _cpu_has_bf16_units() -> bool:
    if not torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
        return False
    ask = getattr(torch.cpu, "get_capabilities", None)  # not in every torch that we support
    if ask is not None:
        return any(ask().get(flag, False) for flag in _BF16_UNITS)
    with suppress(OSError):
        flags = Path("/proc/cpuinfo").read_text().split()
        return any(flag in flags for flag in _BF16_UNITS)
    return False


def is_out_of_memory(error: BaseException) -> bool:
    """Tell whether an error means that memory ran out: a smaller patch or tile may help.

    torch raises a type of its own on GPUs but a plain RuntimeError for the processor's memory and for some libraries,
    which can only be told by their text.
    """
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    text = str(error).lower()
    return isinstance(error, RuntimeError) and any(part in text for part in _OUT_OF_MEMORY_TEXTS)
