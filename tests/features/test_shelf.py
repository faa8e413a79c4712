"""Spectrograms that are kept in a file."""

from __future__ import annotations

import errno
import os
import tempfile

import numpy as np
import pytest

from twofold.errors import ConfigError
from twofold.features.shelf import Shelf, shelf


def test_what_is_laid_down_is_read_as_it_was(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    rng = np.random.default_rng(0)
    given = [rng.random((frames, 4), dtype=np.float32) for frames in (3, 1, 70)]
    with shelf(bands=4) as kept:
        lengths = [kept.lay(one) for one in (given[0], np.asfortranarray(given[1]), given[2])]
        found = kept.read(lengths)
    for one, other in zip(given, found, strict=True):
        np.testing.assert_array_equal(one, other)
        assert not other.flags.writeable
    assert not list(tmp_path.iterdir()), "a killed training would leave it behind"


class Full:
    """A file on a disk that is full."""

    def write(self, data):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_full_disk_is_told_with_what_to_do():
    with pytest.raises(
        ConfigError, match="No space left on device; set TMPDIR to a folder with more"
    ):
        Shelf(Full(), bands=4).lay(np.ones((2, 4), np.float32))


def test_no_place_for_temporary_files_is_told(monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", "/no/such/folder")
    with pytest.raises(ConfigError, match="No such file or directory; set TMPDIR"), shelf(bands=4):
        raise AssertionError
