#!/bin/sh
# swap.sh --path FILE --size SIZE [--encrypt] [--condition part:PATH[:true]] [--condition partsize:PATH:SIZE[:true]]
fail() {
    echo "swap: $*" >&2
    exit 1
}

# A size with G, M or K, in bytes.
bytes() {
    case "$1" in
    *G) number=${1%G} unit=1073741824 ;;
    *M) number=${1%M} unit=1048576 ;;
    *K) number=${1%K} unit=1024 ;;
    *) number=$1 unit=1 ;;
    esac
    case "$number" in "" | *[!0-9]*) fail "$1 is no size" ;; esac
    size_in_bytes=$((number * unit))
}

# A condition that is not met ends it: well, unless it is required.
unmet() {
    [ "$2" = true ] && fail "$1"
    echo "swap: none, as $1"
    exit 0
}

path= size= encrypt= conditions=
while [ $# -gt 0 ]; do
    case "$1" in
    --debug) set -x ;;
    --encrypt) encrypt=1 ;;
    --path) [ -z "$path" ] || fail "there are several --path"; path=$2; shift ;;
    --size) size=$2; shift ;;
    --condition) conditions="$conditions $2"; shift ;;
    *) fail "unknown option $1" ;;
    esac
    [ $# -gt 0 ] || fail "the last option needs a value"
    shift
done
[ -n "$path" ] || fail "--path is needed"
[ -n "$size" ] || fail "--size is needed"
case "$path" in
*/../* | */..) fail "--path has to be below /var" ;;
/var/?*) ;;
*) fail "--path has to be below /var" ;;
esac
bytes "$size"
wanted=$size_in_bytes

for condition in $conditions; do
    IFS=: read -r kind place second third <<END
$condition
END
    case "$kind" in
    part)
        grep -qs " $place " /proc/mounts || unmet "nothing is mounted at $place" "$second"
        ;;
    partsize)
        bytes "$second"
        there=$(df -k "$place" | tail -n 1 | awk '{print $2}')
        [ "$((${there:-0} * 1024))" -ge "$size_in_bytes" ] || unmet "$place is smaller than $second" "$third"
        ;;
    *) fail "unknown condition $condition" ;;
    esac
done

if [ ! -f "$path" ] || [ "$(stat -c %s "$path")" != "$wanted" ]; then
    block=1048576
    [ $((wanted % block)) -eq 0 ] || block=1024
    [ $((wanted % block)) -eq 0 ] || block=1
    # A swap file has no holes.
    (umask 077 && dd if=/dev/zero of="$path.new" bs=$block count=$((wanted / block)) 2> /dev/null) || {
        rm -f "$path.new"
        fail "cannot make $path of $size"
    }
    mv "$path.new" "$path"
    fresh=1
fi

device=$path
if [ -n "$encrypt" ]; then
    # The key is forgotten when the machine goes down: what was swapped out is new each time.
    export DM_DISABLE_UDEV=1
    mkdir -p /run/cryptsetup
    loop=$(losetup -f) && losetup "$loop" "$path" || fail "there is no free loop device"
    cryptsetup open --type plain --key-file /dev/urandom --key-size 256 --cipher aes-cbc-essiv:sha256 "$loop" swapfile \
        || fail "cannot encrypt"
    device=/dev/mapper/swapfile
    fresh=1
fi
if [ -n "$fresh" ]; then
    mkswap "$device" > /dev/null || fail "cannot write to $device"
fi
swapon "$device" || fail "cannot use $device"
echo "swap: $size in $path"
