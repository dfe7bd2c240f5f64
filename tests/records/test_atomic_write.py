"""Files are whole or absent, on file systems of all kinds."""

from __future__ import annotations

import errno
import os
import stat

import pytest

from orchestrator.records import write_atomically


def folders_refuse(monkeypatch, number):
    """Have the flush of a folder fail, as the file system of this errno does."""
    real = os.fsync

    def fsync(descriptor):
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(number, os.strerror(number))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)


@pytest.mark.parametrize("number", [errno.EINVAL, errno.ENOTSUP, errno.ENOSYS])
def test_a_file_system_that_cannot_flush_folders_keeps_files(tmp_path, monkeypatch, number):
    folders_refuse(monkeypatch, number)
    write_atomically(tmp_path / "state", "whole")
    assert [(file.name, file.read_text()) for file in tmp_path.iterdir()] == [("state", "whole")]


def test_a_folder_that_a_broken_disk_does_not_flush_is_an_error(tmp_path, monkeypatch):
    folders_refuse(monkeypatch, errno.EIO)
    with pytest.raises(OSError, match="Input/output"):
        write_atomically(tmp_path / "state", "whole")
