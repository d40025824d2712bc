"""A disk that fails on demand under a program: tests/preload/failing_disk.c, built as failing_disk.so.

    disk = FailingDisk("gateway-0", folder)      # before the program is made
    gateway = Gateway(config, env=disk.env)
    disk.fail(errno.EIO)                         # every write, sync and truncation of files in the folder from now on
    disk.fail(errno.ENOSPC, every=7)
    disk.work()                                  # ... and no more; disk.calls, disk.failed tell how many there were
"""

import mmap
import os
import struct

from .process import workdir
from .programs import program_path


class FailingDisk:
    def __init__(self, name, folder):
        path = os.path.join(workdir("disks"), name)
        with open(path, "wb") as f:
            f.write(bytes(16))
        self._file = open(path, "r+b")
        self._map = mmap.mmap(self._file.fileno(), 16)
        self.env = {"LD_PRELOAD": program_path("failing_disk.so"), "FAILING_DISK_CONTROL": path, "FAILING_DISK_FOLDER": folder}

    def _set(self, error, every):
        self._map[4:8] = struct.pack("=i", every)
        self._map[0:4] = struct.pack("=i", error)

    def fail(self, error, every=1):
        self._set(error, every)

    def work(self):
        self._set(0, 1)

    @property
    def calls(self):
        return struct.unpack("=i", self._map[8:12])[0]

    @property
    def failed(self):
        return struct.unpack("=i", self._map[12:16])[0]
