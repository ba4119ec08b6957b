#!/bin/sh
# Installs the system packages that are missing, and starts none of the services that come with them.
set -eu

wanted= extras=
has() {
    command -v "$1" > /dev/null 2>&1 || [ -x "/usr/sbin/$1" ]
}
has_package() {
    dpkg-query -W -f '${Status}' "$1" 2> /dev/null | grep -q 'ok installed'
}
need() { # need COMMAND PACKAGE
    has "$1" || wanted="$wanted $2"
}
need_package() { # need_package PACKAGE, for what has no command of its own
    has_package "$1" || wanted="$wanted $1"
}
extra() { # extra COMMAND PACKAGE, for what machines are made with and what tests compare with: an engine does without
    has "$1" || extras="$extras $2"
}
extra_package() { # extra_package PACKAGE
    has_package "$1" || extras="$extras $1"
}

command -v apt-get > /dev/null 2>&1 || {
    echo "This is no Debian or Ubuntu. Install by other means: containerd, runc, crun, nftables, docker," \
        "docker-registry, a static busybox, tini, iproute2, iptables, e2fsprogs, openssl, procps." >&2
    exit 0
}

need containerd containerd
need runc runc
need crun crun
need nft nftables
need docker docker.io
need dockerd docker.io
need docker-registry docker-registry
need tini tini
extra skopeo skopeo
extra umoci umoci
need ip iproute2
need iptables iptables
need mkfs.ext4 e2fsprogs
extra mkfs.btrfs btrfs-progs
need mount mount
need openssl openssl
need ps procps
extra qemu-system-x86_64 qemu-system-x86
extra qemu-img qemu-utils
extra mksquashfs squashfs-tools
extra mkfs.erofs erofs-utils
extra mcopy mtools
extra mkfs.vfat dosfstools
extra xorriso xorriso
extra sfdisk fdisk
extra depmod kmod
extra fakeroot fakeroot
extra faketime faketime
extra strace strace
extra iperf3 iperf3
extra grub-mkimage grub-common
if [ "$(dpkg --print-architecture)" = amd64 ]; then
    extra_package ovmf
    extra_package grub-pc-bin
    extra_package grub-efi-amd64-bin
fi
need_package busybox-static
ldconfig -p 2> /dev/null | grep -q libnftables.so.1 || [ -n "$(ls /usr/lib/*/libnftables.so.1 2> /dev/null)" ] || wanted="$wanted libnftables1"
python3 -c 'import ensurepip, venv' 2> /dev/null || wanted="$wanted python3-venv"
[ -e /etc/ssl/certs/ca-certificates.crt ] || wanted="$wanted ca-certificates"
compose=
for folder in /usr/local/lib/docker /usr/local/libexec/docker /usr/lib/docker /usr/libexec/docker; do
    if [ -e "$folder/cli-plugins/docker-compose" ]; then compose=there; fi
done
[ -n "$wanted$extras" ] || [ -z "$compose" ] || exit 0

wanted=$(printf '%s\n' $wanted | sort -u | tr '\n' ' ')
extras=$(printf '%s\n' $extras | sort -u | tr '\n' ' ')
echo "Installing: $wanted$extras"
sudo=
[ "$(id -u)" = 0 ] || sudo=sudo

# Debian asks this file before it starts a service; 101 is its word for "not allowed".
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' | $sudo tee "$policy" > /dev/null
    $sudo chmod 755 "$policy"
    trap '$sudo rm -f "$policy"' EXIT
fi
$sudo apt-get update -q
# Newer releases ship the docker command in a package apart from the daemon.
case " $wanted" in *" docker.io "*)
    if [ -n "$(apt-cache search --names-only '^docker-cli$')" ]; then wanted="$wanted docker-cli"; fi ;;
esac
install() {
    [ -z "$*" ] || $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "$@"
}
# shellcheck disable=SC2086
install $wanted
# shellcheck disable=SC2086
install $extras || echo "Not installed: $extras; some machines cannot be built or run, and their tests are skipped." >&2

# Debian 12 has the first edition of compose alone. The next release's plugin needs nothing that 12 lacks.
next_compose() {
    keys=/usr/share/keyrings/debian-archive-keyring.gpg
    [ -e "$keys" ] || return 1
    work=$(mktemp -d)
    mkdir -p "$work/lists/partial" "$work/cache/archives/partial"
    echo "deb [signed-by=$keys] http://deb.debian.org/debian trixie main" > "$work/sources.list"
    set -- -q -o "Dir::Etc::SourceList=$work/sources.list" -o Dir::Etc::SourceParts=/dev/null \
        -o "Dir::State::lists=$work/lists" -o "Dir::Cache=$work/cache" -o APT::Sandbox::User=root
    (
        cd "$work" && $sudo apt-get "$@" update && $sudo apt-get "$@" download docker-compose \
            && dpkg-deb --fsys-tarfile docker-compose_*.deb | tar -x ./usr/libexec/docker/cli-plugins/docker-compose \
            && $sudo mkdir -p /usr/local/lib/docker/cli-plugins \
            && $sudo cp usr/libexec/docker/cli-plugins/docker-compose /usr/local/lib/docker/cli-plugins/
    )
    code=$?
    $sudo rm -rf "$work"
    return $code
}
if [ -z "$compose" ]; then
    case $(apt-cache policy docker-compose | sed -n 's/^ *Candidate: //p') in
        2* | [3-9]*) install docker-compose ;;
        *) install docker-compose-v2 2> /dev/null || next_compose ;;
    esac || echo "Not installed: the compose plugin; its tests are skipped." >&2
fi
