"""Files and databases to frames: the delimiter, the header and the types of ids are found by looking.

What is looked at, and what is decided, stands in docs/data.md.
"""

from __future__ import annotations

import gzip
import io
import re
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl

from twofold.errors import DataError, did_you_mean, need

DELIMITERS = ("::", "\t", ",", ";", "|")
"""In the order of preference among those that occur equally often in every line."""
SAMPLE_LINES = 2000
"""Lines from which types are inferred."""
SAMPLE_BYTES = 1 << 18
INTEGER = r"^(0|-?[1-9]\d{0,17})$"
"""Ids that are all written like this are integers; all other ids are strings, '007' too."""
TYPED_NAME = re.compile(r"^([^:]+):(token|token_seq|float|float_seq)$")
"""A header cell of atomic files: name:type."""
USUAL: dict[str, tuple[str, ...]] = {
    "user": (
        "user", "userid", "uid", "who", "customer", "customerid", "member", "memberid", "visitor",
        "visitorid", "reviewerid", "buyer", "buyerid", "session", "sessionid",
    ),
    "item": (
        "item", "itemid", "iid", "what", "movie", "movieid", "product", "productid", "sku", "asin", "isbn",
        "artist", "artistid", "song", "songid", "track", "trackid", "book", "bookid", "article",
        "articleid", "news", "newsid", "venue", "venueid", "poi", "business", "businessid", "stockcode",
    ),
    "value": ("value", "rating", "score", "stars", "overall", "count", "cnt", "weight", "plays", "quantity"),
    "time": ("time", "timestamp", "ts", "datetime", "date", "eventtime", "unixreviewtime", "createdat"),
}  # fmt: skip
"""Names, in lower case without other signs, by which columns are found where nobody names them."""
MISSING = ["", "NA", "N/A", "NULL", "null", "NaN", "nan"]
"""Cells that hold nothing."""
EPOCH = 100_000_000
"""A third column without a header whose numbers all lie above this is a time."""


class Delimited(NamedTuple):
    """What looking at the beginning of a text file found."""

    delimiter: str
    header: tuple[str, ...] | None
    kinds: tuple[str, ...]
    """Types of atomic files, or nothing."""
    width: int


def read_frame(
    source: str | Path, *, query: str | None = None, ids: Sequence[str] = ()
) -> pl.DataFrame:
    """Read a file or the answer to a query as a frame.

    Parameters
    ----------
    source
        A CSV-like text (also ``.gz`` and ``.zip``), Parquet, JSON lines, or, with `query`, a database
        URL such as ``sqlite:///log.db`` or ``postgresql+psycopg://user@host/name``.
    query
        SQL.
    ids
        Names of columns that hold ids: numbers unless one of them is not written as a plain integer.

    Raises
    ------
    DataError
        If it is not there, is empty or damaged, or is none of these.
    """
    if query is not None or "://" in str(source):
        return read_sql(str(source), query)
    path = Path(source)
    if path.is_dir():
        raise DataError(
            f"{path} is a folder, and not a dataset saved by twofold; name a file in it"
        )
    try:
        name, content = opened(path)
        if not len(content):
            raise DataError(f"{path} is empty; a log needs at least one row")
        suffix = Path(name).suffix.lower()
        if suffix in {".parquet", ".pq"}:
            return pl.read_parquet(io.BytesIO(content))
        if suffix in {".jsonl", ".ndjson", ".json"}:
            return pl.read_ndjson(io.BytesIO(content), infer_schema_length=None)
        return read_text(content, str(path), ids)
    except FileNotFoundError as error:
        folder = path.parent if path.parent.is_dir() else None
        hint = "" if folder is None else _near(path, folder)
        raise DataError(f"there is no file {path}{hint}") from error
    except (gzip.BadGzipFile, zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise DataError(f"{path} is damaged or cut off: {error}; fetch it again") from error
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror or error}") from error
    except pl.exceptions.PolarsError as error:
        reason = str(error).strip().splitlines()[0]
        raise DataError(f"{path} cannot be read: {reason}") from error


def _near(path: Path, folder: Path) -> str:
    said = did_you_mean(path.name, sorted(one.name for one in folder.iterdir()))
    return f"; did you mean {said.split('did you mean ')[1]}" if "did you mean" in said else ""


def opened(path: Path) -> tuple[str, bytes]:
    """Return the name and the content of a file, unpacked where it is .gz or .zip.

    Raises
    ------
    DataError
        If an archive does not hold exactly one file.
    """
    if path.suffix.lower() == ".gz":
        with gzip.open(path, "rb") as file:
            return path.stem, file.read()
    if path.suffix.lower() == ".zip":
        with zipfile.ZipFile(path) as archive:
            members = [one for one in archive.infolist() if not one.is_dir() and one.file_size]
            if len(members) != 1:
                names = ", ".join(one.filename for one in members[:10])
                raise DataError(
                    f"{path} holds {len(members)} files ({names}); unpack it and name one of them"
                )
            return members[0].filename, archive.read(members[0])
    return path.name, path.read_bytes()


def read_text(content: bytes, what: str, ids: Sequence[str] = ()) -> pl.DataFrame:
    """Read delimited text; columns without a header are called column_1, column_2 ...

    Raises
    ------
    DataError
        If it is not text, or its rows differ in length.
    """
    content = content.removeprefix(b"\xef\xbb\xbf")
    if b"\r\n" in content[:SAMPLE_BYTES]:
        content = content.replace(b"\r\n", b"\n")
    if b"\0" in content[:SAMPLE_BYTES]:
        raise DataError(
            f"{what} is not text; use CSV, Parquet or JSON lines, named by their suffix"
        )
    found = sniff(content, what)
    delimiter = found.delimiter
    if delimiter == "::":
        content, delimiter = content.replace(b"\t", b" ").replace(b"::", b"\t"), "\t"
    try:
        content.decode("utf-8")
    except UnicodeDecodeError:
        content = content.decode("latin-1").encode("utf-8")
    names = found.header or tuple(f"column_{at + 1}" for at in range(found.width))
    keys = [one for one in names if one in ids or usual(one) in {"user", "item"}]
    if found.header is None:
        keys = list(names[:2])
    options: dict[str, Any] = {
        "separator": delimiter,
        "has_header": found.header is not None,
        "new_columns": list(names),
        "null_values": MISSING,
        "quote_char": '"' if delimiter in ",;" else None,
    }
    head = pl.read_csv(io.BytesIO(content), n_rows=SAMPLE_LINES, infer_schema=False, **options)
    whole = {name: bool(head[name].drop_nulls().str.contains(INTEGER).all()) for name in keys}
    # By position: the names in the file may be other than `names`.
    types = {name: pl.Int64 if whole[name] else pl.String for name in keys}
    try:
        frame = pl.read_csv(
            io.BytesIO(content),
            infer_schema_length=SAMPLE_LINES,
            schema_overrides=types,
            **options,
        )
    except (pl.exceptions.ComputeError, pl.exceptions.SchemaError):
        # A later row is not what the first ones were: read words, and let each column decide.
        frame = pl.read_csv(io.BytesIO(content), infer_schema=False, **options)
        integer = [
            one
            for one in keys
            if frame[one].drop_nulls().str.strip_chars().str.contains(INTEGER).all()
        ]
        frame = frame.with_columns(pl.col(integer).str.strip_chars().cast(pl.Int64))
    if not len(frame):
        raise DataError(f"{what} has a header and no rows; a log needs at least one")
    sequences = [n for n, kind in zip(names, found.kinds, strict=False) if kind.endswith("_seq")]
    return frame.with_columns(pl.col(sequences).str.split(" ")) if sequences else frame


def sniff(content: bytes, what: str = "the text") -> Delimited:
    r"""Find the delimiter and the header of delimited text.

    The delimiter is the one that occurs equally often in each of the first lines; there is a header
    where no cell of the first line is a number and it has a usual name, or a number stands below it.

    Example
    -------
    >>> sniff(b"user;item;stars\n1;a;5\n2;b;4\n")[:2]
    (';', ('user', 'item', 'stars'))
    >>> sniff(b"1::10::5::978300760\n")[:2]
    ('::', None)
    """
    sample = content[:SAMPLE_BYTES].decode("utf-8", "replace")
    lines = [one for one in sample.splitlines() if one.strip()]
    if len(content) > SAMPLE_BYTES and len(lines) > 1:
        lines.pop()
    lines = lines[:50]
    if not lines:
        raise DataError(f"{what} is empty; a log needs at least one row")
    plain = [re.sub(r'"[^"]*"', '""', one) for one in lines]
    counts = {one: [line.count(one) for line in plain] for one in DELIMITERS}
    even = {one: n[0] for one, n in counts.items() if n[0] and len(set(n)) == 1}
    # Free text may hold further delimiters: take what every line has, most in the first one.
    some = {one: n[0] for one, n in counts.items() if min(n) > 0}
    best = even or some
    delimiter = max(best, key=lambda one: best[one]) if best else ","
    cells = [[cell.strip().strip('"') for cell in line.split(delimiter)] for line in plain[:20]]
    width = plain[0].count(delimiter) + 1
    first = [cell.strip().strip('"') for cell in lines[0].split(delimiter)][:width]
    typed = [TYPED_NAME.match(cell) for cell in first]
    if all(typed):
        parts = [one.groups() for one in typed if one]
        return Delimited(delimiter, tuple(n for n, _ in parts), tuple(k for _, k in parts), width)
    if len(set(first)) == width and "" not in first and not any(is_number(one) for one in first):
        below = any(is_number(cell) for row in cells[1:] for cell in row)
        if below or any(usual(one) for one in first):
            return Delimited(delimiter, tuple(first), (), width)
    return Delimited(delimiter, None, (), width)


def is_number(text: str) -> bool:
    """Say whether a cell is a number."""
    try:
        float(text)
    except ValueError:
        return False
    return True


def usual(name: str) -> str | None:
    """Return what a column of this name usually holds: user, item, value, time, or None.

    Example
    -------
    >>> usual("userId"), usual("movie_id"), usual("genres")
    ('user', 'item', None)
    """
    plain = re.sub(r"[^a-z]", "", name.lower())
    return next((role for role, names in USUAL.items() if plain in names), None)


def roles(frame: pl.DataFrame, given: Mapping[str, str | None], what: str) -> dict[str, str | None]:
    """Return the columns of user, item, value and time: as given, by usual names, or by position.

    Parameters
    ----------
    frame
        The log.
    given
        Role -> column name; None = look for it; the empty string = there is none.
    what
        The file's name, for messages.

    Raises
    ------
    DataError
        If a given column is missing, or the user or the item cannot be told.
    """
    columns = frame.columns
    for role, name in given.items():
        if name and name not in columns:
            raise DataError(
                f"{what} has no column {name!r} for the {role}; {did_you_mean(name, columns)}"
            )
    found: dict[str, str | None] = {role: name or None for role, name in given.items()}
    taken = {name for name in found.values() if name}
    headless = all(re.fullmatch(r"column_\d+", one) for one in columns)
    for role, name in given.items():
        if name is not None:
            continue
        if headless:
            guess = by_position(frame, role)
        else:
            named = [one for one in columns if usual(one) == role and one not in taken]
            order = USUAL[role]
            named.sort(key=lambda one: order.index(re.sub(r"[^a-z]", "", one.lower())))
            guess = named[0] if named else None
        if guess is not None and guess not in taken:
            found[role] = guess
            taken.add(guess)
    for role in ("user", "item"):
        if found.get(role) is None:
            raise DataError(
                f"cannot tell which column of {what} holds the {role}: {', '.join(columns)}; "
                f"say {role}=... (on the command line --{role})"
            )
    return found


def by_position(frame: pl.DataFrame, role: str) -> str | None:
    """Return the column of a log without a header: user, item, value, time in this order."""
    at = ("user", "item", "value", "time").index(role)
    numeric = [frame.dtypes[n].is_numeric() for n in range(frame.width)]
    third = frame.to_series(2) if frame.width > 2 and numeric[2] else None
    lowest = None if third is None else third.min()
    third_is_time = isinstance(lowest, int | float) and lowest > EPOCH
    if role == "value" and third_is_time:
        return None
    if role == "time" and third_is_time and (frame.width == 3 or not numeric[3]):
        return frame.columns[2]
    if at >= frame.width or (at >= 2 and not numeric[at]):
        return None
    return frame.columns[at]


def read_sql(url: str, query: str | None) -> pl.DataFrame:
    """Read the answer to a query.

    Raises
    ------
    DataError
        If the database or the query fails.
    MissingDependencyError
        If SQLAlchemy is not installed.
    """
    if query is None:
        raise DataError(
            f"a database URL needs a query, for example 'select * from events'; got {_safe(url)}"
        )
    alchemy = need("sqlalchemy", "sql")
    errors = need("sqlalchemy.exc", "sql")
    if url.startswith("sqlite:///"):
        file = url.removeprefix("sqlite:///").split("?")[0]
        if file and not Path(file).exists():
            raise DataError(f"there is no database file {file}")
    try:
        engine = alchemy.create_engine(url)
        with engine.connect() as connection:
            answer = connection.execute(alchemy.text(query))
            names = list(answer.keys())
            rows = answer.fetchall()
        engine.dispose()
    except (errors.SQLAlchemyError, ImportError) as error:
        reason = str(error).splitlines()[0]
        raise DataError(f"the query to {_safe(url)} failed: {reason}") from error
    if not rows:
        raise DataError(f"the query to {_safe(url)} gave no rows; a log needs at least one")
    return pl.DataFrame(
        [tuple(row) for row in rows], schema=names, orient="row", infer_schema_length=None
    )


def _safe(url: str) -> str:
    """Return a URL without its password."""
    return re.sub(r"//([^:/@]+):[^@]*@", r"//\1:***@", url)
