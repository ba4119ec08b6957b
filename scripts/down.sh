#!/bin/sh
# Stops the engine of scripts/up.sh with its containers, and removes all it left.
set -eu
run=${1:?the directory it runs in}
[ -d "$run" ] || exit 0
sudo=
[ "$(id -u)" = 0 ] || sudo=sudo
export DOCKER_HOST="unix://$run/moby.sock" DOCKER_CONFIG="$run/client"

pid=$(cat "$run/moby.pid" 2> /dev/null || true)
if [ -n "$pid" ] && $sudo kill -0 "$pid" 2> /dev/null; then
    containers=$(docker ps --all --quiet 2> /dev/null || true)
    # shellcheck disable=SC2086
    [ -z "$containers" ] || docker rm --force --volumes $containers > /dev/null || true
    $sudo kill -TERM "$pid"
    tries=0
    while $sudo kill -0 "$pid" 2> /dev/null; do
        tries=$((tries + 1))
        if [ "$tries" -gt 300 ]; then
            echo "The engine (process $pid) does not stop; its log is $run/mobyd.log" >&2
            exit 1
        fi
        sleep 0.1
    done
fi

# What a crash may have left: processes that name our directories, then the mounts below them.
for process in /proc/[0-9]*; do
    # It may have ended meanwhile; that the shell cannot open the file is told before tr is even begun.
    case "$({ tr '\0' ' ' < "$process/cmdline"; } 2> /dev/null || true)" in
        *"$run/exec"* | *"$run/data"*) $sudo kill -KILL "${process#/proc/}" 2> /dev/null || true ;;
    esac
done
awk -v run="$run/" 'index($5, run) == 1 {print $5}' /proc/self/mountinfo | sort -r | while read -r mount; do
    $sudo umount -l "$mount"
done
bridge=$(cat "$run/bridge" 2> /dev/null || true)
if [ -n "$bridge" ] && [ -e "/sys/class/net/$bridge" ]; then
    $sudo ip link delete "$bridge"
fi
$sudo rm -rf "$run"
