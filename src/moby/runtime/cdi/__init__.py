"""Devices that vendors describe in files: the Container Device Interface, and `--gpus` on top of it."""

from moby.runtime.cdi.registry import CDI_DIRECTORIES, device_names
from moby.runtime.cdi.requests import inject_devices

__all__ = ["CDI_DIRECTORIES", "device_names", "inject_devices"]
