"""What GRUB is told."""

from __future__ import annotations

from moby.machine.grub import configuration


def test_words_of_the_command_line_stay_what_they_are() -> None:
    assert configuration("console=ttyS0 $x it's") == (
        "search.file /kernel root\nlinux /kernel 'console=ttyS0' '$x' 'it'\\''s'\ninitrd /initrd.img\nboot\n"
    )


def test_what_is_a_part_of_grub_is_not_looked_for() -> None:
    assert configuration("quiet", "set root=memdisk").startswith("set root=memdisk\nlinux /kernel 'quiet'\n")
