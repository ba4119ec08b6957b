"""This file is about `--gpus` and `--device VENDOR/CLASS=NAME`: which driver is meant, and what it adds."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from typing import Any

from moby.core.errors import InvalidParameter, MobyError, System
from moby.core.types.containers import DeviceRequest
from moby.runtime.cdi.edits import add_hook, apply_edits, set_variable
from moby.runtime.cdi.files import Hook
from moby.runtime.cdi.registry import Registry

_NVIDIA_HOOK, _NVIDIA_CDI = "nvidia-container-runtime-hook", "nvidia-cdi-hook"
_NVIDIA_SELECTABLE = frozenset({"compute", "compat32", "graphics", "utility", "video", "display"})
_NVIDIA = _NVIDIA_SELECTABLE | {"gpu", "nvidia"}
_AMD = frozenset({"gpu", "amd"})
_AMD_RUNTIME = "amd-container-runtime"


def inject_devices(
    spec: dict[str, Any], requests: Sequence[DeviceRequest], directories: Sequence[str]
) -> None:
    """Add what is requested to a container's spec. Blocks. Raises InvalidParameter, System."""
    registry = Registry(directories)
    for request in requests:
        _inject(spec, request, registry)


def _inject(spec: dict[str, Any], request: DeviceRequest, registry: Registry) -> None:
    has_nvidia = bool(shutil.which(_NVIDIA_CDI) or shutil.which(_NVIDIA_HOOK))
    match request.driver:
        case "cdi":
            _inject_cdi(spec, request, registry)
        case "nvidia.cdi" if shutil.which(_NVIDIA_CDI):
            _inject_kind(spec, request, registry, "nvidia.com/gpu")
        case "nvidia.runtime-hook" if shutil.which(_NVIDIA_HOOK):
            _inject_nvidia_hook(spec, request, [])
        case "nvidia" if has_nvidia:
            _inject_nvidia(spec, request, registry, _matching(request, _NVIDIA) or [])
        case "" if has_nvidia and (selected := _matching(request, _NVIDIA)) is not None:
            _inject_nvidia(spec, request, registry, selected)
        case "" | "amd" if not has_nvidia and (request.driver or _matching(request, _AMD)):
            _inject_amd(spec, request, registry)
        case _:
            raise _unknown(request)


def _unknown(request: DeviceRequest) -> System:
    lists = " ".join(f"[{' '.join(words)}]" for words in request.capabilities or ())
    return System(f'could not select device driver "{request.driver}" with capabilities: [{lists}]')


def _matching(request: DeviceRequest, known: frozenset[str]) -> list[str] | None:
    """The first list of capabilities that a driver has all of."""
    return next((words for words in request.capabilities or () if known.issuperset(words)), None)


def _ids(request: DeviceRequest) -> list[str]:
    if request.count and request.device_ids:
        raise InvalidParameter("cannot set both Count and DeviceIDs on device request")
    if request.device_ids:
        return list(request.device_ids)
    return ["all"] if request.count < 0 else [str(number) for number in range(request.count)]


def _inject_cdi(spec: dict[str, Any], request: DeviceRequest, registry: Registry) -> None:
    if request.count:
        raise InvalidParameter("unexpected count in CDI device request")
    if request.options:
        raise InvalidParameter("unexpected options in CDI device request")
    names = request.device_ids or []
    missing = [name for name in names if registry.get(name) is None]
    if missing:
        raise System(f"CDI device injection failed: unresolvable CDI devices {', '.join(missing)}")
    seen: list[object] = []
    for name in names:
        found = registry.get(name)
        if found is None:
            continue
        specification, device = found
        if not any(known is specification for known in seen):
            seen.append(specification)
            apply_edits(spec, specification.container_edits)
        apply_edits(spec, device.container_edits)


def _inject_kind(spec: dict[str, Any], request: DeviceRequest, registry: Registry, kind: str) -> None:
    names = [name if "=" in name else f"{kind}={name}" for name in _ids(request)]
    _inject_cdi(spec, DeviceRequest(driver="cdi", device_ids=names), registry)


def _inject_nvidia(
    spec: dict[str, Any], request: DeviceRequest, registry: Registry, selected: Sequence[str]
) -> None:
    """By CDI where NVIDIA's tools are made for it, else by their older hook."""
    if shutil.which(_NVIDIA_CDI):
        try:
            _inject_kind(spec, request, registry, "nvidia.com/gpu")
        except MobyError:
            if shutil.which(_NVIDIA_HOOK) is None:
                raise
        else:
            return
    _inject_nvidia_hook(spec, request, selected)


def _inject_nvidia_hook(spec: dict[str, Any], request: DeviceRequest, selected: Sequence[str]) -> None:
    if not (ids := _ids(request)):
        return
    set_variable(spec, f"NVIDIA_VISIBLE_DEVICES={','.join(ids)}")
    if wanted := [word for word in selected if word in _NVIDIA_SELECTABLE]:
        set_variable(spec, f"NVIDIA_DRIVER_CAPABILITIES={','.join(wanted)}")
    environment = [f"{name}={value}" for name, value in os.environ.items()]
    path = shutil.which(_NVIDIA_HOOK) or _NVIDIA_HOOK
    add_hook(spec, Hook("prestart", path, (_NVIDIA_HOOK, "prestart"), environment))


def _inject_amd(spec: dict[str, Any], request: DeviceRequest, registry: Registry) -> None:
    if "amd.com" in registry.vendors():
        _inject_kind(spec, request, registry, "amd.com/gpu")
        return
    if shutil.which(_AMD_RUNTIME) is None:
        raise _unknown(request)
    set_variable(spec, f"AMD_VISIBLE_DEVICES={','.join(_ids(request)) or 'void'}")
