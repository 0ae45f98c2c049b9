"""Norms with fixed statistics: a network whose voxels depend on their surroundings only."""

from __future__ import annotations

import copy
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.instancenorm import _InstanceNorm

_FROZEN = {3: nn.BatchNorm1d, 4: nn.BatchNorm2d, 5: nn.BatchNorm3d}
_Norm = _BatchNorm | _InstanceNorm | nn.GroupNorm


def freeze_norms(net: nn.Module, image: Tensor) -> nn.Module:
    """Copy a network with the statistics of its norms fixed to those of one image.

    Instance and group norms, and batch norms that gather no statistics, look at everything they are given: tiles do not
    agree, and every voxel depends on every other one. In the copy they are batch norms in evaluation, with the mean and
    variance that each sees when the whole image runs through: for this image both networks say the same.

    Parameters
    ----------
    net
        A network of (1, C, Z, Y, X), in evaluation mode. Batch norms that have gathered statistics stay as they are.
    image
        (C, Z, Y, X).

    Returns
    -------
    A copy in evaluation mode; ``net`` is not changed.

    Raises
    ------
    ValueError
        An instance or group norm is given several items (planes, say): it has a set of statistics for each.
    """
    frozen = copy.deepcopy(net).eval()
    seen: dict[str, _BatchNorm] = {}
    hooks = [
        module.register_forward_pre_hook(_make_watcher(name, seen))
        for name, module in frozen.named_modules()
        if isinstance(module, _Norm) and not (isinstance(module, _BatchNorm) and module.track_running_stats)
    ]
    with torch.no_grad():
        frozen(image[None])
    for hook in hooks:
        hook.remove()
    for name, norm in seen.items():
        parent, _, last = name.rpartition(".")
        setattr(frozen.get_submodule(parent), last, norm)
    return frozen


def _make_watcher(name: str, seen: dict[str, _BatchNorm]) -> Callable[[nn.Module, tuple[Tensor, ...]], None]:
    def watch(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        assert isinstance(module, _Norm)
        seen[name] = _freeze(module, inputs[0], name=name)

    return watch


def _freeze(norm: _Norm, array: Tensor, *, name: str) -> _BatchNorm:
    """A batch norm in evaluation that does to ``array`` (N, C, ...) what ``norm`` does."""
    n_items, n_channels = array.shape[:2]
    if isinstance(norm, _BatchNorm):
        variance, mean = torch.var_mean(array.transpose(0, 1).flatten(1), dim=1, correction=0)
    elif n_items > 1:
        raise ValueError(
            f"norm {name!r} has statistics for each of {n_items} items: they cannot be frozen into one set"
        )
    else:
        n_groups = norm.num_groups if isinstance(norm, nn.GroupNorm) else n_channels
        statistics = torch.var_mean(array.reshape(n_groups, -1), dim=1, correction=0)
        variance, mean = (each.repeat_interleave(n_channels // n_groups) for each in statistics)
    frozen = _FROZEN[array.ndim](n_channels, eps=norm.eps, affine=norm.affine).to(array.device).eval()
    frozen.load_state_dict(norm.state_dict() | {"running_mean": mean, "running_var": variance}, strict=False)
    return frozen
