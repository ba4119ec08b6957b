"""This file is about how an image's configuration and the daemon's defaults fill a container's own."""

from __future__ import annotations

import msgspec

from moby.core.errors import InvalidParameter
from moby.core.types.containers import ContainerConfig, HealthConfig, HostConfig
from moby.engine.config import EngineConfig
from moby.engine.containers.own_labels import ORDERS
from moby.engine.runtimes import USUAL
from moby.logs.chain import CACHE_OPTIONS


def merge_image(config: ContainerConfig, image: ContainerConfig) -> None:
    """Fill what `config` leaves open from the image's; a variable or label of one's own wins."""
    config.user = config.user or image.user
    config.exposed_ports = {**image.exposed_ports, **config.exposed_ports}
    own = {variable.partition("=")[0] for variable in config.env or ()}
    inherited = [variable for variable in image.env or () if variable.partition("=")[0] not in own]
    config.env = [*(config.env or ()), *inherited]
    said = {key: value for key, value in (image.labels or {}).items() if key not in ORDERS}
    config.labels = {**said, **(config.labels or {})}
    if not config.entrypoint:
        if not config.cmd:
            config.cmd = image.cmd
        if config.entrypoint is None:
            config.entrypoint = image.entrypoint
    config.working_dir = config.working_dir or image.working_dir
    config.volumes = {**(image.volumes or {}), **(config.volumes or {})} or config.volumes
    config.stop_signal = config.stop_signal or image.stop_signal
    config.healthcheck = _merged_check(config.healthcheck, image.healthcheck)


def _merged_check(own: HealthConfig | None, image: HealthConfig | None) -> HealthConfig | None:
    if own is None or image is None:
        return own or image
    given = {name: value for name in own.__struct_fields__ if (value := getattr(own, name))}
    return msgspec.structs.replace(image, **given)


def command_line(config: ContainerConfig) -> tuple[str, list[str]]:
    """Program and arguments. Raises InvalidParameter without any; an entrypoint of `[""]` is none."""
    if config.entrypoint == [""]:
        config.entrypoint = None
    words = [*(config.entrypoint or ()), *(config.cmd or ())]
    if not words:
        raise InvalidParameter("no command specified")
    return words[0], words[1:]


def fill_defaults(host: HostConfig, settings: EngineConfig, *, unified_cgroups: bool) -> None:
    """Fill what the host configuration leaves open from the daemon's settings, as dockerd does."""
    host.restart_policy.name = host.restart_policy.name or "no"
    host.network_mode = host.network_mode or "default"
    if host.network_mode == "default":
        host.network_mode = "bridge"
    if host.memory > 0 and host.memory_swap == 0:
        host.memory_swap = host.memory * 2
    if host.memory_swappiness == -1:
        host.memory_swappiness = None
    host.shm_size = host.shm_size or settings.default_shm_size
    host.ipc_mode = host.ipc_mode or settings.default_ipc_mode
    if not host.cgroupns_mode:
        usual = settings.default_cgroupns_mode or ("private" if unified_cgroups else "host")
        host.cgroupns_mode = "host" if host.privileged and not unified_cgroups else usual
    if host.oom_kill_disable is None and not unified_cgroups:
        host.oom_kill_disable = False
    host.log_config.type = host.log_config.type or settings.log_driver
    # A cache may be beside any driver; other options are of the usual one.
    every = host.log_config.type == settings.log_driver
    logs = {name: value for name, value in settings.log_opts.items() if every or name in CACHE_OPTIONS}
    host.log_config.config = {**logs, **(host.log_config.config or {})}
    shares = host.privileged or "host" in (host.ipc_mode, host.pid_mode)
    if shares and not any(option.partition("=")[0] == "label" for option in host.security_opt or ()):
        host.security_opt = [*(host.security_opt or ()), "label=disable"]
    host.runtime = host.runtime or settings.default_runtime or USUAL
