"""This file is about an image's layer as the upper directory of an overlay: unpacked as it comes.

The tree is ours alone until it is finished, the archive is somebody else's: a member's directory is found as
if the tree's root were `/` (openat2(2)), its last name is never followed, and what takes away the kind of
place that a link had makes everything be looked up anew. Whiteouts become those of overlayfs.
"""

from __future__ import annotations

import errno
import os
import posixpath
import stat
from collections import deque

from moby.core.errors import InvalidParameter
from moby.host.archives.members import Member
from moby.host.archives.removal import remove_tree
from moby.host.mounts import open_beneath

WHITEOUT, META, OPAQUE = ".wh.", ".wh..wh.", ".wh..wh..opq"
OPAQUE_ATTRIBUTE = "trusted.overlay.opaque"
_OVERLAYS_OWN = ("trusted.overlay.", "user.overlay.")
_DIRECTORY = os.O_PATH | os.O_DIRECTORY
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_OPEN_LIMIT = 128
_LINKS = 40
_LONGEST = 4000
_IMPLIED_MODE = 0o755
_SPECIAL, _ALL = 0o7000, 0o7777
# A disk that is full to its last byte keeps containerd from cleaning up.
_SPARE_BYTES, _SPARE_INODES = 32 << 20, 2000
_LOOK_BYTES, _LOOK_MEMBERS = 16 << 20, 1000


class LayerTree:
    """Makes the files of one layer in an empty directory; takes members as a `MemberReader` reads them.

    `lowest`: there is no layer below, and so nothing for whiteouts to hide. `umask` is this process's, where
    that cannot change. Life: begin, content and end of each member, then `finish`; `close` at any time, and
    what was made stays. Raises InvalidParameter for what leads out or cannot be, OSError (with the member's
    name) for what the file system does not take.
    """

    def __init__(self, root: int, *, lowest: bool = False, umask: int = 0o777) -> None:
        self._root = os.dup(root)
        self._lowest = lowest
        # A file that is to have any of these bits may not get them by being made.
        self._withheld = _SPECIAL | umask
        self._open: dict[str, int] = {}
        self._times: dict[str, tuple[int, int]] = {}
        self._implied: dict[int, str] = {}
        self._file = -1
        self._directory_of_file = -1
        # In which open directories new files have which owner from the start.
        self._owners: dict[int, tuple[int, int]] = {}
        self._member = Member("", "0", 0, 0, 0, 0, 0, 0)
        self._bytes = self._members = 0
        self.hides = False
        """Has it whiteouts, or opaque directories?"""

    @property
    def implied(self) -> dict[int, str]:
        """Directories that no member describes, above those that do: paths by inode."""
        return self._implied

    def begin(self, member: Member) -> None:
        """See `Taker.begin`."""
        self._members += 1
        if self._members >= _LOOK_MEMBERS:
            self._look_around()
        name = inside(member.name)
        if not name:
            return  # the root's own description is its snapshotter's
        head, _, last = name.rpartition("/")
        try:
            if not last.startswith(WHITEOUT):
                self._make(name, head, last, member)
            elif not self._lowest:
                self._whiteout(head, last, member)
            elif last == OPAQUE or not last.startswith(META):
                self._parent(head)
        except OSError as error:
            raise _named(error, name) from error

    def content(self, data: memoryview) -> None:
        """See `Taker.content`."""
        self._bytes += len(data)
        if self._bytes >= _LOOK_BYTES:
            self._look_around()
        if self._file < 0:
            return
        try:
            if self._member.holes is None:
                _write(self._file, data)
                return
            for offset, part in self._member.holes.place(data):
                os.lseek(self._file, offset, os.SEEK_SET)
                _write(self._file, part)
        except OSError as error:
            raise _named(error, self._member.name) from error

    def end(self) -> None:
        """See `Taker.end`."""
        if self._file < 0:
            return
        file, self._file, member = self._file, -1, self._member
        try:
            if member.holes is not None:
                os.ftruncate(file, member.size)
            # The owner first: a change of it clears set-uid bits and capabilities.
            if self._owner(file) != (member.uid, member.gid):
                os.fchown(file, member.uid, member.gid)
            if member.mode & self._withheld:
                os.fchmod(file, member.mode)
            if member.attributes:
                _set_attributes(file, member)
            os.utime(file, ns=_times(member))
        except OSError as error:
            raise _named(error, member.name) from error
        finally:
            os.close(file)

    def finish(self) -> None:
        """Directories get their times last: what is put into one changes them."""
        for name, times in self._times.items():
            head, _, last = name.rpartition("/")
            try:
                os.utime(last, ns=times, dir_fd=self._parent(head), follow_symlinks=False)
            except OSError as error:
                raise _named(error, name) from error

    def close(self) -> None:
        """Let go of everything that is open."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1
        self._forget_open()
        if self._root >= 0:
            os.close(self._root)
            self._root = -1

    def _make(self, name: str, head: str, last: str, member: Member) -> None:
        parent = self._parent(head)
        match member.kind:
            case "0":
                self._member = member
                mode = 0o600 if member.mode & self._withheld else member.mode
                try:
                    self._file = os.open(last, _NEW, mode, dir_fd=parent)
                except FileExistsError:
                    self._remove(name, parent, last)
                    parent = self._parent(head)
                    self._file = os.open(last, _NEW, mode, dir_fd=parent)
                self._directory_of_file = parent
                return
            case "5":
                self._directory(name, head, last, member)
                return
            case _:
                pass
        if self._status(parent, last) is not None:
            self._remove(name, parent, last)
            parent = self._parent(head)
        match member.kind:
            case "1":
                self._link(name, last, parent, member)
                return
            case "2":
                os.symlink(member.link, last, dir_fd=parent)
            case "3" | "4":
                kind = stat.S_IFCHR if member.kind == "3" else stat.S_IFBLK
                os.mknod(last, kind | 0o600, os.makedev(*member.device), dir_fd=parent)
            case _:
                os.mkfifo(last, 0o600, dir_fd=parent)
        self._describe(parent, last, member)
        os.utime(last, ns=_times(member), dir_fd=parent, follow_symlinks=False)

    def _owner(self, file: int) -> tuple[int, int]:
        """Whom a file belongs to that has just been made, which is as with the first one beside it."""
        owner = self._owners.get(self._directory_of_file)
        if owner is None:
            found = os.fstat(file)
            owner = self._owners[self._directory_of_file] = (found.st_uid, found.st_gid)
        return owner

    def _directory(self, name: str, head: str, last: str, member: Member) -> None:
        parent = self._parent(head)
        try:
            os.mkdir(last, 0o700, dir_fd=parent)
        except FileExistsError:
            found = os.stat(last, dir_fd=parent, follow_symlinks=False)
            if stat.S_ISDIR(found.st_mode):
                self._implied.pop(found.st_ino, None)
            else:
                self._remove(name, parent, last)
                parent = self._parent(head)
                os.mkdir(last, 0o700, dir_fd=parent)
                if _is_whiteout(found):
                    self._make_opaque(parent, last)
        self._describe(parent, last, member)
        self._times[name] = _times(member)

    def _link(self, name: str, last: str, parent: int, member: Member) -> None:
        target = inside(member.link)
        head, _, final = target.rpartition("/")
        if not final:
            raise InvalidParameter(f'invalid hardlink "{name}" -> "{member.link}"')
        directory = open_beneath(self._root, f"/{head}", _DIRECTORY)
        try:
            os.link(final, last, src_dir_fd=directory, dst_dir_fd=parent, follow_symlinks=False)
        finally:
            os.close(directory)
        found = os.stat(last, dir_fd=parent, follow_symlinks=False)
        if (found.st_uid, found.st_gid) != (member.uid, member.gid):
            os.chown(last, member.uid, member.gid, dir_fd=parent, follow_symlinks=False)
            found = os.stat(last, dir_fd=parent, follow_symlinks=False)
        if not stat.S_ISLNK(found.st_mode) and stat.S_IMODE(found.st_mode) != member.mode:
            os.chmod(last, member.mode, dir_fd=parent)
        os.utime(last, ns=_times(member), dir_fd=parent, follow_symlinks=False)

    def _whiteout(self, head: str, last: str, member: Member) -> None:
        parent = self._parent(head)
        if last == OPAQUE:
            self._make_opaque(parent)
            return
        if last.startswith(META):
            return  # what aufs kept for itself
        hidden = last.removeprefix(WHITEOUT)
        if hidden in ("", ".", ".."):
            raise InvalidParameter(f"invalid whiteout name: {last!r}")
        found = self._status(parent, hidden)
        if found is None:
            self.hides = True
            os.mknod(hidden, stat.S_IFCHR, 0, dir_fd=parent)
            os.chown(hidden, member.uid, member.gid, dir_fd=parent)
        elif stat.S_ISDIR(found.st_mode):
            # Hidden is what lies below, not what this layer brings itself.
            self._make_opaque(parent, hidden)

    def _make_opaque(self, parent: int, name: str = ".") -> None:
        self.hides = True
        descriptor = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)
        try:
            os.setxattr(descriptor, OPAQUE_ATTRIBUTE, b"y")
        finally:
            os.close(descriptor)

    def _describe(self, parent: int, last: str, member: Member) -> None:
        """Owner, mode and attributes of what is no file."""
        os.chown(last, member.uid, member.gid, dir_fd=parent, follow_symlinks=False)
        if member.kind == "5":
            self._owners.clear()  # files in it may get its group from now on, or no longer
        if member.kind != "2":
            os.chmod(last, member.mode, dir_fd=parent)
        if member.attributes:
            if member.kind == "5":
                self._withheld = _ALL  # it may say what modes files in it get (acl(5))
                opened = os.open(last, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=parent)
                try:
                    _set_attributes(opened, member)
                finally:
                    os.close(opened)
                return
            _set_attributes(f"/proc/self/fd/{parent}/{last}", member)

    def _status(self, parent: int, last: str) -> os.stat_result | None:
        try:
            return os.stat(last, dir_fd=parent, follow_symlinks=False)
        except FileNotFoundError:
            return None

    def _remove(self, name: str, parent: int, last: str) -> None:
        """Make room for a member that comes a second time."""
        self._times.pop(name, None)
        found = os.stat(last, dir_fd=parent, follow_symlinks=False)
        if stat.S_ISDIR(found.st_mode):
            remove_tree(parent, last)
            below = f"{name}/"
            self._times = {path: t for path, t in self._times.items() if not path.startswith(below)}
        else:
            os.unlink(last, dir_fd=parent)
        if not stat.S_ISREG(found.st_mode):
            self._forget_open()

    def _parent(self, head: str) -> int:
        """The directory that a member goes into, made with those above it if need be; it stays ours."""
        found = self._open.get(head)
        if found is not None:
            return found
        if len(self._open) >= _OPEN_LIMIT:
            self._forget_open()
        try:
            found = open_beneath(self._root, f"/{head}", _DIRECTORY)
        except FileNotFoundError:
            found = open_beneath(self._root, f"/{self._make_parents(head)}", _DIRECTORY)
        self._open[head] = found
        return found

    def _make_parents(self, head: str) -> str:
        """Make what is missing of a path, also where a link leads; the path without links."""
        left, here, links = deque(head.split("/")), list[str](), 0
        while left:
            step = left.popleft()
            if step in ("", "."):
                continue
            if step == "..":
                here = here[:-1]
                continue
            directory = open_beneath(self._root, "/" + "/".join(here), _DIRECTORY)
            try:
                found = self._status(directory, step)
                if found is None:
                    os.mkdir(step, _IMPLIED_MODE, dir_fd=directory)
                    os.chmod(step, _IMPLIED_MODE, dir_fd=directory)
                    made = os.stat(step, dir_fd=directory, follow_symlinks=False)
                    self._implied[made.st_ino] = "/".join([*here, step])
                elif stat.S_ISLNK(found.st_mode):
                    target = os.readlink(step, dir_fd=directory)
                    links += 1
                    if links > _LINKS:
                        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
                    left.extendleft(reversed(target.split("/")))
                    here = [] if target.startswith("/") else here
                    continue
                elif not stat.S_ISDIR(found.st_mode):
                    raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
            finally:
                os.close(directory)
            here.append(step)
        return "/".join(here)

    def _forget_open(self) -> None:
        for descriptor in self._open.values():
            os.close(descriptor)
        self._open.clear()
        self._owners.clear()

    def _look_around(self) -> None:
        self._bytes = self._members = 0
        found = os.fstatvfs(self._root)
        full = found.f_bavail * found.f_frsize < _SPARE_BYTES
        if full or (found.f_files and found.f_favail < _SPARE_INODES):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), self._member.name)


def inside(name: str) -> str:
    """A member's name as a path below the root. Raises InvalidParameter if it leads out."""
    if "/." not in name and "//" not in name and name[:1] not in "./" and name[-1] != "/":
        clean = name  # as nearly all are
    else:
        clean = posixpath.normpath(name.lstrip("/") or ".")
    if clean == ".." or clean.startswith("../"):
        raise InvalidParameter(f'"{name[:200]}" is outside of the layer')
    if len(clean) > _LONGEST:
        raise OSError(errno.ENAMETOOLONG, os.strerror(errno.ENAMETOOLONG), f"{clean[:100]}...")
    return "" if clean == "." else clean


def _named(error: OSError, name: str) -> OSError:
    return OSError(error.errno, error.strerror, name[:400])


def _is_whiteout(found: os.stat_result) -> bool:
    return stat.S_ISCHR(found.st_mode) and found.st_rdev == 0


def _times(member: Member) -> tuple[int, int]:
    return max(member.accessed, member.modified), member.modified


def _write(file: int, data: memoryview) -> None:
    while data:
        data = data[os.write(file, data) :]


def _set_attributes(place: int | str, member: Member) -> None:
    for name, value in member.attributes.items():
        if name.startswith(_OVERLAYS_OWN):
            continue  # orders to overlayfs are ours to give
        try:
            os.setxattr(place, name, value, follow_symlinks=isinstance(place, int))
        except OSError as error:
            special = error.errno == errno.EPERM and name.startswith("user.") and member.kind not in "05"
            if not special and error.errno != errno.ENOTSUP:
                raise
