"""A disk of its own that can be filled and made read-only. It is mounted, so it needs root and a loop device."""

import os
import subprocess

import pytest

from .program import wait_for

IMAGE_BYTES = 48 << 20


class Disk:
    def __init__(self, folder):
        self.path, image = folder / "disk", folder / "image"
        self.path.mkdir()
        with open(image, "wb") as file:
            file.truncate(IMAGE_BYTES)
        made = self._run("mkfs.ext4", "-q", "-F", image) and self._run("mount", "-o", "loop", image, self.path)
        if not made:
            pytest.skip("#### no disk of its own: mounting one needs root and a loop device ####")

    def read_only(self, read_only):
        option = "remount,ro" if read_only else "remount,rw"
        # Not while somebody is writing a file.
        wait_for(f"the disk to be {option}", lambda: self._run("mount", "-o", option, self.path), pause=0.01)

    def fill(self):
        with open(self.path / "ballast", "wb", buffering=0) as ballast:
            for size in (1 << 16, 1 << 10):
                try:
                    while ballast.write(bytes(size)) == size:
                        pass
                except OSError:
                    pass

    def make_room(self):
        os.remove(self.path / "ballast")

    def close(self):
        self._run("umount", "-l", self.path)

    @staticmethod
    def _run(*command):
        try:
            return subprocess.run([str(part) for part in command], capture_output=True).returncode == 0
        except OSError:
            return False
