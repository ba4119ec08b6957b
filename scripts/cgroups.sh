#!/bin/sh
# Makes a half-converted cgroup host whole, as root, where no service manager owns the cgroups.
#
# On a "hybrid" host most controllers are mounted the old way. When one is left to the unified hierarchy, crun
# refuses to work. Mounting the left-over as a hierarchy of its own, as Debian's cgroupfs-mount does, mends that.
set -eu
[ ! -d /run/systemd/system ] || exit 0
[ "$(id -u)" = 0 ] || exit 0
[ -r /sys/fs/cgroup/unified/cgroup.controllers ] || exit 0

for controller in $(cat /sys/fs/cgroup/unified/cgroup.controllers); do
    directory=/sys/fs/cgroup/$controller
    grep -q " $directory cgroup " /proc/mounts && continue
    mkdir -p "$directory"
    mount -t cgroup -o "$controller" none "$directory" 2> /dev/null || {
        rmdir "$directory" 2> /dev/null || true
        echo "The $controller controller is in use by the unified hierarchy; crun may refuse, runc works." >&2
    }
done
