#!/bin/sh
# Installs the system packages that are missing, and starts none of the services that come with them.
set -eu

wanted=
need() { # need COMMAND PACKAGE
    command -v "$1" > /dev/null 2>&1 || [ -x "/usr/sbin/$1" ] || wanted="$wanted $2"
}
need_package() { # need_package PACKAGE, for what has no command of its own
    dpkg-query -W -f '${Status}' "$1" 2> /dev/null | grep -q 'ok installed' || wanted="$wanted $1"
}

command -v apt-get > /dev/null 2>&1 || {
    echo "This is no Debian or Ubuntu. Install by other means: containerd, runc, crun, nftables, docker," \
        "docker-registry, a static busybox, tini, iproute2, iptables, e2fsprogs, openssl." >&2
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
need skopeo skopeo
need umoci umoci
need ip iproute2
need iptables iptables
need mkfs.ext4 e2fsprogs
need mount mount
need openssl openssl
need qemu-system-x86_64 qemu-system-x86
need qemu-img qemu-utils
need mksquashfs squashfs-tools
need mkfs.erofs erofs-utils
need mcopy mtools
need mkfs.vfat dosfstools
need xorriso xorriso
need sfdisk fdisk
need depmod kmod
need fakeroot fakeroot
need faketime faketime
need grub-mkimage grub-common
if [ "$(dpkg --print-architecture)" = amd64 ]; then
    need_package grub-pc-bin
    need_package grub-efi-amd64-bin
fi
need_package busybox-static
ldconfig -p 2> /dev/null | grep -q libnftables.so.1 || [ -n "$(ls /usr/lib/*/libnftables.so.1 2> /dev/null)" ] || wanted="$wanted libnftables1"
python3 -c 'import ensurepip, venv' 2> /dev/null || wanted="$wanted python3-venv"
[ -e /etc/ssl/certs/ca-certificates.crt ] || wanted="$wanted ca-certificates"
[ -n "$wanted" ] || exit 0

wanted=$(printf '%s\n' $wanted | sort -u | tr '\n' ' ')
echo "Installing: $wanted"
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
# shellcheck disable=SC2086
$sudo env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends $wanted
