"""Spectrograms in a file without a name, so that a network can learn from more of them than fit into memory."""

from __future__ import annotations

import tempfile
from collections.abc import Generator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import IO

import numpy as np

from twofold.errors import ConfigError
from twofold.typing import F32


@dataclass(frozen=True)
class Shelf:
    """Arrays (frames, bands) laid down one after the other in a file, and read where they lie."""

    file: IO[bytes]
    bands: int

    def lay(self, spectrogram: F32) -> int:
        """Lay down a spectrogram (frames, bands); return its number of frames.

        Raises
        ------
        ConfigError
            If there is no room.
        """
        try:
            self.file.write(np.ascontiguousarray(spectrogram, np.float32).data)
            self.file.flush()
        except OSError as error:
            raise no_room(error) from error
        return len(spectrogram)

    def read(self, lengths: Sequence[int]) -> list[F32]:
        """Return what was laid down, by the lengths that `lay` returned, mapped from the file and read-only."""
        whole = np.asarray(np.memmap(self.file, np.float32, "r")).reshape(-1, self.bands)
        return np.split(whole, np.cumsum(lengths)[:-1])


@contextmanager
def shelf(bands: int) -> Generator[Shelf]:
    """Open a shelf where temporary files lie (``TMPDIR``); it is gone with its last reader, however the process ends.

    Raises
    ------
    ConfigError
        If no file can be made there.

    Example
    -------
    >>> import numpy as np
    >>> with shelf(bands=2) as kept:
    ...     lengths = [kept.lay(np.ones((n, 2), np.float32)) for n in (3, 1)]
    ...     found = kept.read(lengths)
    >>> [one.shape for one in found]
    [(3, 2), (1, 2)]
    """
    with ExitStack() as stack:
        try:
            file = stack.enter_context(tempfile.TemporaryFile(prefix="twofold-"))
        except OSError as error:
            raise no_room(error) from error
        yield Shelf(file, bands)


def no_room(error: OSError) -> ConfigError:
    """Return what is said where spectrograms cannot be kept; not a `DataError`, for no sound is at fault."""
    return ConfigError(
        f"spectrograms cannot be kept where temporary files lie: {error.strerror or error}; set TMPDIR to a folder "
        "with more room, or lower sound.max_seconds"
    )
