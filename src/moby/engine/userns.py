"""This file is about `--userns-remap`: whose numbers containers have, and where all of theirs is kept."""

from __future__ import annotations

import functools
import logging
import os
from pathlib import Path

import msgspec

from moby.core.errors import InvalidParameter
from moby.core.idmaps import NO_MAP, IdMap
from moby.core.types.containers import HostConfig
from moby.engine.config import EngineConfig
from moby.host import subids
from moby.host.files import translation

log = logging.getLogger(__name__)


def remapped(config: EngineConfig) -> EngineConfig:
    """The settings with names for what the user wrote, and a data root of its own for the mapping.

    Raises InvalidParameter for a user or group that is none, or that has no numbers to give.
    """
    if not config.userns_remap:
        return config
    user, group = subids.user_and_group(config.userns_remap)
    if user == "root":
        log.warning("User namespaces: root cannot be remapped with itself; user namespaces are OFF")
        return msgspec.structs.replace(config, userns_remap="")
    new = msgspec.structs.replace(config, userns_remap=f"{user}:{group}")
    uid, gid = id_map(new).root
    with translation("cannot create daemon root"):
        base = Path(config.data_root)
        base.mkdir(mode=0o711, parents=True, exist_ok=True)
        base.chmod(0o711)
        root = base / f"{uid}.{gid}"
        root.mkdir(mode=0o710, exist_ok=True)
        os.chown(root, 0, gid)
    _check_access(root, uid, gid)
    return msgspec.structs.replace(new, data_root=str(root))


def id_map(config: EngineConfig) -> IdMap:
    """Who the users of containers are, as the settings have it after `remapped`."""
    user = config.userns_remap.partition(":")[0]
    return _id_map(user) if user else NO_MAP


def containers_directory(config: EngineConfig) -> Path:
    """Where the containers' files are, made if need be; who is root inside may pass through."""
    found = Path(config.data_root, "containers")
    found.mkdir(mode=0o710, parents=True, exist_ok=True)
    os.chown(found, 0, id_map(config).root[1])
    return found


def container_ids(config: EngineConfig, host: HostConfig) -> IdMap:
    """Who the users of a container are that is configured so."""
    return NO_MAP if host.userns_mode == "host" else id_map(config)


# Whoever changes the files while we run must not change the containers that we have.
_id_map = functools.cache(subids.id_map)


def _check_access(root: Path, uid: int, gid: int) -> None:
    for directory in root.parents:
        found = directory.stat()
        wanted = 0o001 | 0o100 * (found.st_uid == uid) | 0o010 * (found.st_gid == gid)
        if not found.st_mode & wanted:
            raise InvalidParameter(
                f"a subdirectory in your graphroot path ({root}) restricts access to the remapped root "
                "uid/gid; please fix by allowing 'o+x' permissions on existing directories"
            )
