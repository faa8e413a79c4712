"""The text and binary formats of word2vec: read with every count checked, written as the original does.

A file begins with the line ``N D``. In the text format N lines follow, a token and D numbers, separated by
spaces; in the binary format N times a token, a space, D little-endian float32, and a newline that some
writers leave out. Tokens are UTF-8 and hold no white space. A byte order mark before the first line is passed over.
"""

from __future__ import annotations

from codecs import BOM_UTF8
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from twofold.drafts import draft_of
from twofold.errors import DataError, IncompatibleFileError
from twofold.typing import F32

HEADER = 100
"""Bytes within which the first line ends."""
GZIP = b"\x1f\x8b"
"""What a file that gzip has packed begins with."""
LONGEST = 1 << 16
"""Bytes of the longest token that is read."""


def write_word2vec(path: Path, tokens: Sequence[str], vectors: F32, *, binary: bool) -> None:
    """Write `vectors` (n, d) of `tokens` (n,); numbers in text are read back as the same float32.

    Raises
    ------
    DataError
        If a token is empty or holds white space, which the format cannot tell from its end, or the file
        cannot be written.
    """
    for one in tokens:
        if one.split() != [one]:
            raise DataError(
                f"the token {one!r} is empty or holds white space, which word2vec's formats cannot hold; "
                "replace it, for instance by '_'"
            )
    n, d = vectors.shape
    rows = np.ascontiguousarray(vectors, "<f4")
    with draft_of(path, "choose another file") as draft, draft.open("wb") as file:
        file.write(f"{n} {d}\n".encode())
        for token, row in zip(tokens, rows, strict=True):
            if binary:
                file.write(token.encode() + b" " + row.tobytes() + b"\n")
            else:
                file.write(f"{token} {' '.join(map(str, row.tolist()))}\n".encode())


def read_word2vec(path: Path) -> tuple[list[str], F32]:
    """Read a file of either format, which is told by its first row; return tokens (n,) and vectors (n, d).

    Raises
    ------
    DataError
        If there is no such file.
    IncompatibleFileError
        If the first line is no pair of counts, the rows are not as many as it says, a row is cut short
        or too long, a token is no UTF-8 or comes twice, or a number is missing or not finite.
    """
    try:
        data = path.read_bytes().removeprefix(BOM_UTF8)
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}; check the name") from error
    n, d, begin = _counts(path, data)
    room = (len(data) - begin) // 2  # two bytes a number are the least, in either format
    if n * d > room:
        raise IncompatibleFileError(
            f"{path} announces {n:,} vectors of {d:,} numbers and has {len(data):,} bytes, too few for them: "
            "it is cut short or its first line is wrong; fetch it again"
        )
    tokens, vectors = (_text if _is_text(data, begin, d) else _binary)(path, data, begin, n, d)
    bad = np.flatnonzero(~np.isfinite(vectors).all(axis=1))
    if len(bad):
        raise IncompatibleFileError(
            f"{path} has a number that is not finite in the vector of {tokens[bad[0]]!r}; leave that token out"
        )
    first: dict[str, int] = {}
    for row, token in enumerate(tokens):
        if first.setdefault(token, row) != row:
            raise IncompatibleFileError(
                f"{path} has the token {token!r} in rows {first[token] + 1} and {row + 1}; keep one of them"
            )
    return tokens, vectors


def _counts(path: Path, data: bytes) -> tuple[int, int, int]:
    """Return n, d and where the first row begins."""
    end = data.find(b"\n", 0, HEADER)
    words = data[: max(end, 0)].split()
    if data.startswith(GZIP):
        raise IncompatibleFileError(f"{path} is packed by gzip; unpack it first, such as by gunzip")
    if end < 0 or len(words) != 2 or not all(one.isdigit() for one in words):
        raise IncompatibleFileError(
            f"{path} does not begin with a line of two counts, but with {data[:40]!r}; "
            "it is no file of word2vec (GloVe's files lack that line: put it before them)"
        )
    n, d = int(words[0]), int(words[1])
    if d < 1:
        raise IncompatibleFileError(
            f"{path} announces vectors of {d} numbers; at least 1 is needed"
        )
    return n, d, end + 1


def _is_text(data: bytes, begin: int, d: int) -> bool:
    """Say whether the first row reads as a token and d numbers up to the end of a line."""
    end = data.find(b"\n", begin)
    words = data[begin : len(data) if end < 0 else end].split()
    if len(words) != d + 1:
        # A binary row has neither; a text row that was cut has nothing but printable characters.
        sample = data[begin : begin + 4 * d + 200]
        return all(byte >= 32 or byte in (9, 10, 13) for byte in sample) and _is_utf8(sample)
    # Decimal commas make a text, of which the row is refused where it is read.
    return all(_is_number(one.replace(b",", b".")) for one in words[1:])


def _is_utf8(sample: bytes) -> bool:
    try:
        sample[: max(len(sample) - 4, 0)].decode()
    except UnicodeDecodeError as error:
        return error.end >= len(sample) - 4
    return True


def _is_number(word: bytes) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True


def _text(path: Path, data: bytes, begin: int, n: int, d: int) -> tuple[list[str], F32]:
    tokens: list[str] = []
    vectors = np.empty((n, d), np.float32)
    lines = data[begin:].split(b"\n")
    if lines.pop().strip():
        raise IncompatibleFileError(
            f"{path} does not end with the end of a line, so that its last number may be cut short; fetch it again, "
            "or add a newline if it is whole"
        )
    while lines and not lines[-1].strip():
        lines.pop()
    for row, line in enumerate(lines):
        if not line.strip():
            raise IncompatibleFileError(f"{path}, row {row + 1}, is a blank line; take it out")
    if len(lines) != n:
        raise IncompatibleFileError(
            f"{path} announces {n:,} vectors and has {len(lines):,} rows: it is cut short, or its first line is "
            "wrong; fetch it again"
        )
    for row, line in enumerate(lines):
        words = line.split()
        if len(words) != d + 1:
            raise IncompatibleFileError(
                f"{path}, row {row + 1}, has {max(len(words) - 1, 0):,} numbers where {d:,} are announced; "
                "it is cut short or a token holds a space"
            )
        tokens.append(_token(path, row, words[0]))
        try:
            vectors[row] = [float(one) for one in words[1:]]
        except ValueError as error:
            odd = next(one for one in words[1:] if not _is_number(one))
            raise IncompatibleFileError(
                f"{path}, row {row + 1} ({tokens[-1]!r}), has {odd.decode(errors='replace')!r}, which is no "
                f"number; {'write numbers with a point' if b',' in odd else 'correct it'}, or leave that token out"
            ) from error
    return tokens, vectors


def _binary(path: Path, data: bytes, begin: int, n: int, d: int) -> tuple[list[str], F32]:
    tokens: list[str] = []
    vectors = np.empty((n, d), np.float32)
    at = begin
    for row in range(n):
        if data[at : at + 1] == b"\n":
            at += 1
        space = data.find(b" ", at, at + LONGEST)
        if space < 0 or len(data) < space + 1 + 4 * d:
            raise IncompatibleFileError(
                f"{path} ends in row {row + 1:,} of {n:,}: it is cut short; fetch it again"
            )
        tokens.append(_token(path, row, data[at:space]))
        vectors[row] = np.frombuffer(data, "<f4", d, space + 1)
        at = space + 1 + 4 * d
    if data[at:].strip(b"\n"):
        raise IncompatibleFileError(
            f"{path} has {len(data) - at:,} bytes after the {n:,} vectors that its first line announces; "
            "correct that line"
        )
    return tokens, vectors


def _token(path: Path, row: int, raw: bytes) -> str:
    try:
        token = raw.decode()
    except UnicodeDecodeError as error:
        raise IncompatibleFileError(
            f"{path}, row {row + 1}, has a token that is no UTF-8 ({raw[:40]!r}); convert the file, or leave it out"
        ) from error
    if token.split() != [token]:
        raise IncompatibleFileError(
            f"{path}, row {row + 1}, has a token that is empty or holds white space ({token[:40]!r}); "
            "it is damaged, or its first line is wrong"
        )
    return token
