#!/bin/sh
# Starts an engine with roots of its own under the directory named, loads busybox, runs a container.
set -eu
cd "$(dirname "$0")/.."
run=${1:?the directory to run in}
sudo=
group=root
[ "$(id -u)" = 0 ] || { sudo=sudo; group=$(id -gn); }
socket=$run/moby.sock
export DOCKER_HOST="unix://$socket" DOCKER_CONFIG="$run/client"

if [ -e "$run/moby.pid" ] && $sudo kill -0 "$(cat "$run/moby.pid")" 2> /dev/null; then
    echo "An engine is running already: export DOCKER_HOST=$DOCKER_HOST"
    exit 0
fi

$sudo scripts/cgroups.sh
mkdir -p "$run/client"

# Where Docker has the usual bridge already, ours gets another name and subnet. `make down` removes what we made.
set --
if [ -e /sys/class/net/docker0 ]; then
    [ -e /sys/class/net/moby0 ] || $sudo ip link add name moby0 type bridge
    $sudo ip address replace 172.31.254.1/24 dev moby0
    set -- --bridge moby0
    echo moby0 > "$run/bridge"
else
    echo docker0 > "$run/bridge"
fi
$sudo setsid -f "$PWD/.venv/bin/mobyd" \
    --host "$DOCKER_HOST" \
    --data-root "$run/data" \
    --exec-root "$run/exec" \
    --pidfile "$run/moby.pid" \
    --group "$group" "$@" \
    > "$run/mobyd.log" 2>&1 < /dev/null

tries=0
until docker version > /dev/null 2>&1; do
    tries=$((tries + 1))
    if [ "$tries" -gt 300 ]; then
        echo "The engine does not answer. The end of $run/mobyd.log:" >&2
        tail -n 30 "$run/mobyd.log" >&2
        exit 1
    fi
    sleep 0.1
done

.venv/bin/python components/busybox/build.py "$run/busybox.tar"
docker load --quiet --input "$run/busybox.tar"
echo "$ docker run --rm busybox echo 'Hello from a container.'"
docker run --rm busybox echo 'Hello from a container.'
echo
echo "The engine is up. Point any docker client at it:"
echo "    export DOCKER_HOST=$DOCKER_HOST"
echo "Its log is $run/mobyd.log; make down stops it."
