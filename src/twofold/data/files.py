"""Opening a file whatever it is packed in: what it is, is told by its first bytes and not by its name."""

from __future__ import annotations

import bz2
import codecs
import contextlib
import gzip
import lzma
import sqlite3
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any, NamedTuple

from twofold.errors import DataError, did_you_mean

HEAD_BYTES = 1 << 18
"""How much of a file is looked at before it is read."""
PACKED: tuple[tuple[bytes, Callable[[Path], Any]], ...] = (
    (b"\x1f\x8b", gzip.GzipFile),
    (b"BZh", bz2.BZ2File),
    (b"\xfd7zXZ\x00", lzma.LZMAFile),
)
"""First bytes of compressed files that hold one file."""
WINDOWS = {
    code: letter for code in range(128, 160) if (letter := bytes([code]).decode("cp1252", "ignore"))
}
"""The letters that Windows has where Latin-1 has control characters: the euro sign, dashes, curly quotes."""
SERVED = "twofold_log"
"""The view of the events that `twofold serve` kept in an SQLite file."""
PACKED_SUFFIXES = {".gz", ".bz2", ".xz", ".zip"}
FOREIGN: tuple[tuple[bytes, str], ...] = (
    (
        b"SQLite format 3\x00",
        "an SQLite database; read it as sqlite:///{path} with a query such as 'select * from events'",
    ),
    (b"\x28\xb5\x2f\xfd", "compressed with zstd; unpack it first"),
    (b"Rar!", "a RAR archive; unpack it first"),
    (b"7z\xbc\xaf", "a 7z archive; unpack it first"),
    (b"\x89HDF", "an HDF5 file; export it as CSV or Parquet"),
    (b"\x93NUMPY", "a NumPy array; read it with numpy.load and Dataset.from_frames"),
    (b"\x80\x04", "a pickle, which could run code; export it as CSV or Parquet"),
    (b"\x80\x05", "a pickle, which could run code; export it as CSV or Parquet"),
    (b"\xd0\xcf\x11\xe0", "an old Excel workbook; save it as CSV"),
)
"""First bytes of files that are not read, and what to do with them."""
DAMAGED = (gzip.BadGzipFile, zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError)
"""What unpacking raises where a file is damaged or cut off."""


class Source(NamedTuple):
    """One unpacked file."""

    what: str
    """How the owner named it, for messages."""
    name: str
    """The name of the file itself, without the suffix of what it is packed in."""
    open: Callable[[], IO[bytes]]
    plain: Path | None
    """Where it lies unpacked, None where it is packed."""

    def head(self) -> bytes:
        """Return the first ``HEAD_BYTES``."""
        with self.open() as file:
            return file.read(HEAD_BYTES)

    def content(self) -> bytes:
        """Return everything."""
        with self.open() as file:
            return file.read()


def source_of(path: Path) -> Source:
    """Find the file; ``archive.zip/inner.csv`` names a file in an archive.

    Raises
    ------
    DataError
        If there is none, it is a folder, an archive of several files, or of a kind that is not read.
    OSError
        If it cannot be opened.
    """
    if path.is_dir():
        raise DataError(
            f"{path} is a folder, and not a dataset saved by twofold; name a file in it"
        )
    if not path.exists():
        archive = next((one for one in path.parents if one.is_file()), None)
        if archive is not None and zipfile.is_zipfile(archive):
            return member_of(archive, str(path.relative_to(archive)))
        raise DataError(f"there is no file {path}{_near(path)}")
    with path.open("rb") as file:
        head = file.read(512)
    if head.startswith(b"PK\x03\x04") or zipfile.is_zipfile(path):
        return member_of(path, None)
    unpack = next((how for magic, how in PACKED if head.startswith(magic)), None)
    if unpack is not None:
        with unpack(path) as file:
            inner = file.read(512)
        made = Source(str(path), path.stem, lambda: unpack(path), None)
    elif path.suffix.lower() in PACKED_SUFFIXES and head:
        raise DataError(
            f"{path} is damaged, or is not what its name says: fetch it again, or rename it without {path.suffix}"
        )
    else:
        inner = head
        made = Source(str(path), path.name, lambda: path.open("rb"), path)
    if inner[257:262] == b"ustar":
        raise DataError(f"{path} is a tar archive; unpack it and name one of its files")
    for magic, said in FOREIGN:
        if inner.startswith(magic):
            raise DataError(f"{path} is {said.format(path=path)}")
    return made


def _near(path: Path) -> str:
    """Return a hint at the nearest name in the same folder."""
    if not path.parent.is_dir():
        return f"; there is no folder {path.parent} either"
    said = did_you_mean(path.name, sorted(one.name for one in path.parent.iterdir()))
    return f"; did you mean {said.split('did you mean ')[1]}" if "did you mean" in said else ""


def member_of(archive: Path, inner: str | None) -> Source:
    """Return a file in a zip archive: the one called `inner`, or the only one.

    Raises
    ------
    DataError
        If there is no such file, or more than one and none is named, or it has a password.
    """
    with zipfile.ZipFile(archive) as file:
        members = {
            one.filename: one
            for one in file.infolist()
            if one.file_size
            and not one.filename.startswith("__MACOSX/")
            and not Path(one.filename).name.startswith(".")
        }
    if "xl/workbook.xml" in members:
        raise DataError(f"{archive} is an Excel workbook; save it as CSV")
    listed = ", ".join(list(members)[:10]) + (" ..." if len(members) > 10 else "")
    if inner is None and len(members) == 1:
        inner = next(iter(members))
    if inner is None:
        first = next(iter(members), None)
        hint = f"name one of them as {archive}/{first}" if first else "it has nothing to read"
        raise DataError(f"{archive} holds {len(members)} files ({listed}); {hint}")
    if inner not in members:
        raise DataError(f"{archive} has no file {inner!r}; {did_you_mean(inner, members)}")
    if members[inner].flag_bits & 1:
        raise DataError(f"{archive} has a password; unpack {inner} and name it")
    what = str(archive) if len(members) == 1 else f"{archive}/{inner}"

    def opened() -> IO[bytes]:
        with zipfile.ZipFile(archive) as file:
            return file.open(inner)

    return Source(what, Path(inner).name, opened, None)


def as_utf8(content: bytes, what: str) -> bytes:
    r"""Return text in UTF-8 with ``\n`` between lines and without a byte order mark, unchanged where it is.

    UTF-16 is known by its byte order mark, or by every other byte being zero. Bytes that are not UTF-8
    are left: whoever decodes them reads them by `western`.

    Raises
    ------
    DataError
        If it is not text.
    """
    head = content[:HEAD_BYTES]
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        content = _decoded(content, "utf-16", what)
    elif b"\0" in head:
        even, odd = head[0::2].count(0), head[1::2].count(0)
        if max(even, odd) < 0.4 * len(head) or min(even, odd) > 0.1 * len(head):
            raise DataError(
                f"{what} is not text; use CSV, Parquet or JSON lines (a table of another program: export it)"
            )
        content = _decoded(content, "utf-16-le" if odd > even else "utf-16-be", what)
    content = content.removeprefix(b"\xef\xbb\xbf")
    head = content[:HEAD_BYTES]
    if b"\r" in head and b"\n" not in head:
        content = content.replace(b"\r", b"\n")
    return content


def _decoded(content: bytes, encoding: str, what: str) -> bytes:
    try:
        return content.decode(encoding).encode()
    except UnicodeDecodeError as error:
        raise DataError(f"{what} begins as {encoding} and is damaged: {error.reason}") from error


def decoded(head: bytes) -> str:
    """Return the text of bytes that may be cut within a letter: UTF-8, or else as `western` reads it."""
    try:
        return codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        return western(head)


def western(content: bytes) -> str:
    r"""Return text that is not UTF-8 as Windows-1252, or Latin-1 with its few letters; every byte is one.

    Example
    -------
    >>> western(b"Caf\xe9 4,50 \x80"), western(b"\x81\x80")
    ('Café 4,50 €', '\x81€')
    """
    try:
        return content.decode("cp1252")
    except UnicodeDecodeError:
        return content.decode("latin-1").translate(WINDOWS)


def own_query(source: str | Path, query: str | None) -> str | None:
    """Return the query to ask: the one given, or that of the events which `twofold serve` kept in an SQLite file."""
    path = Path(str(source).removeprefix("sqlite:///"))
    if query is not None or not path.is_file():
        return query
    with path.open("rb") as opened:
        if opened.read(16) != b"SQLite format 3\x00":
            return None
    kept = f"select count(*) from sqlite_master where name = '{SERVED}'"
    try:
        with contextlib.closing(sqlite3.connect(path)) as connection:
            served = connection.execute(kept).fetchone() == (1,)
    except sqlite3.Error:
        return None  # the reader says what is wrong with the file
    return f"select * from {SERVED}" if served else None
