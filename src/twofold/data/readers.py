"""Files and databases to frames: the format, the delimiter and the header are found by looking.

What is looked at, and what is decided, stands in docs/data.md.
"""

from __future__ import annotations

import ast
import io
import json
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import polars as pl

from twofold.data.fast_log import read_fast
from twofold.data.files import DAMAGED, Source, as_utf8, own_query, source_of
from twofold.data.frames import as_frame, flatten, of_records
from twofold.data.names import usual
from twofold.data.passwords import without_passwords
from twofold.data.roles import roles, unread_time
from twofold.data.sniff import SAMPLE_ROWS
from twofold.data.text import layout_of, read_layout, read_text
from twofold.errors import DataError, did_you_mean, need

__all__ = ["Log", "read_frame", "read_log", "read_sql", "read_text"]

T = TypeVar("T")
JSON_SUFFIXES = {".json", ".jsonl", ".ndjson"}


class Log(NamedTuple):
    """The columns of a log that were asked for, and which of them hold what."""

    frame: pl.DataFrame
    found: Mapping[str, str | None]
    """Role -> column; None where there is none."""
    notes: Sequence[str] = ()
    """What the owner should know of the columns that are not read."""


def read_frame(
    source: str | Path,
    *,
    query: str | None = None,
    ids: Sequence[str] = (),
    named: Sequence[str] = (),
    may_be_empty: bool = False,
) -> pl.DataFrame:
    """Read a file or the answer to a query as a frame.

    Parameters
    ----------
    source
        Delimited text, Parquet, Arrow, JSON lines or a JSON list, packed with gzip, bzip2, xz or zip or not;
        or a database URL such as ``sqlite:///log.db`` or ``postgresql+psycopg://user@host/name``.
    query
        SQL, for a database.
    ids
        Names of columns that hold ids.
    named
        Names of other columns that are asked for: text has a header where its first row holds one of either.
    may_be_empty
        Whether text may be a header alone.

    Raises
    ------
    DataError
        If it is not there, is empty or damaged, or is none of these.
    """
    query = own_query(source, query)
    if _is_database(source, query):
        return read_sql(_url(source), query)

    def read(found: Source) -> pl.DataFrame:
        match format_of(found):
            case "text":
                layout, content = layout_of(found, [*ids, *named])
                keys = [*ids, *(one for one in layout.names if usual(one) in {"user", "item"})]
                return read_layout(content, layout, found.what, ids=keys, may_be_empty=may_be_empty)
            case "json":
                return read_json(found.content(), found.what)
            case kind:
                return _columnar(found, kind).collect()

    return _reading(source, read)


def read_log(
    source: str | Path,
    given: Mapping[str, str | None],
    *,
    query: str | None = None,
    context: Sequence[str] = (),
) -> Log:
    """Read the columns of a log that are needed; the others are passed over.

    Parameters
    ----------
    source, query
        As in `read_frame`.
    given
        Role -> column; None = look for it, the empty string = there is none.
    context
        Further columns to read.

    Raises
    ------
    DataError
        As `read_frame` and `roles`.
    """
    query = own_query(source, query)
    if _is_database(source, query):
        frame = flatten(read_sql(_url(source), query), context)
        sample = frame.head(SAMPLE_ROWS)
        found = roles(sample, given, str(source), context=context)
        return Log(frame, found, unread_time(sample, given, found))

    def read(file: Source) -> Log:
        kind = format_of(file)
        if kind == "text":
            layout, content = layout_of(file, [*filter(None, given.values()), *context])
            sample = layout.sample_frame()
            found = roles(sample, given, file.what, context=context)
            columns = needed(found, context, layout.names)
            made = None if context else read_fast(content, layout, found)
            if made is None:
                keys = [name for role, name in found.items() if name and role in {"user", "item"}]
                made = read_layout(content, layout, file.what, columns, keys)
            return Log(made, found, unread_time(sample, given, found))
        lazy = (
            read_json(file.content(), file.what).lazy() if kind == "json" else _columnar(file, kind)
        )
        sample = flatten(lazy.head(SAMPLE_ROWS).collect(), context)
        found = roles(sample, given, file.what, context=context)
        outer = set(lazy.collect_schema().names())
        columns = needed(found, context, sample.columns)
        kept = dict.fromkeys(one if one in outer else one.split(".")[0] for one in columns)
        made = flatten(lazy.select(list(kept)).collect(), context)
        return Log(made, found, unread_time(sample, given, found))

    return _reading(source, read)


def needed(
    found: Mapping[str, str | None], context: Sequence[str], columns: Sequence[str]
) -> list[str]:
    """Return the columns to read, each once.

    Raises
    ------
    DataError
        If a context column is not there.
    """
    for name in context:
        if name not in columns:
            raise DataError(f"the log has no column {name!r}; {did_you_mean(name, columns)}")
    return list(dict.fromkeys([*(name for name in found.values() if name), *context]))


def _is_database(source: str | Path, query: str | None) -> bool:
    return query is not None or "://" in str(source)


def _url(source: str | Path) -> str:
    """Return the URL of a database: a file is SQLite, PostgreSQL is reached by psycopg."""
    text = str(source)
    plain = re.sub(r"^postgres(?:ql)?://", "postgresql+psycopg://", text)
    return plain if "://" in text else f"sqlite:///{text}"


def _reading(source: str | Path, read: Callable[[Source], T]) -> T:
    """Read a file; whatever is wrong with it is one sentence."""
    path = Path(source)
    try:
        return read(source_of(path))
    except DAMAGED as error:
        raise DataError(f"{path} is damaged or cut off: {error}; fetch it again") from error
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror or error}") from error
    except (pl.exceptions.PolarsError, NotImplementedError) as error:
        reason = str(error).strip().splitlines()[0]
        raise DataError(f"{path} cannot be read: {reason}") from error


def format_of(source: Source) -> str:
    """Return text, json, parquet or arrow, told by the first bytes, or else by the suffix.

    Raises
    ------
    DataError
        If the file is empty.
    """
    with source.open() as file:
        head = file.read(512)
    if not head:
        raise DataError(f"{source.what} is empty; at least one row is needed")
    suffix = Path(source.name).suffix.lower()
    if head.startswith(b"PAR1") or suffix in {".parquet", ".pq"}:
        return "parquet"
    if head.startswith(b"ARROW1"):
        return "arrow"
    begins = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if suffix in JSON_SUFFIXES or re.match(rb"\{\s*(?:u?['\"])|\[\s*\{\s*\"", begins):
        return "json"
    return "text"


def _columnar(source: Source, kind: str) -> pl.LazyFrame:
    """Open a Parquet or Arrow file.

    Raises
    ------
    DataError
        If it is damaged or cut off.
    """
    scan = pl.scan_parquet if kind == "parquet" else pl.scan_ipc
    try:
        lazy = scan(source.plain if source.plain is not None else io.BytesIO(source.content()))
        lazy.collect_schema()
    except (pl.exceptions.PolarsError, OSError) as error:
        reason = str(error).strip().splitlines()[0]
        raise DataError(
            f"{source.what} is not a whole {kind} file: {reason}; fetch or write it again"
        ) from error
    return lazy


def read_json(content: bytes, what: str) -> pl.DataFrame:
    """Read JSON lines, a JSON list of records, or a JSON object of columns.

    Lines may also be Python dictionaries, as some public sets have them; they are parsed as literals, and
    nothing in them is run.

    Raises
    ------
    DataError
        If it is none of these; the first line that is not is named.
    """
    text = as_utf8(content, what).lstrip()
    if text.startswith(b"["):
        return _records(_whole(text, what), what)
    try:
        frame = pl.read_ndjson(io.BytesIO(text), infer_schema_length=None)
    except pl.exceptions.PolarsError:
        pass
    else:
        one_object = len(frame) == 1 and any(isinstance(one, pl.List) for one in frame.dtypes)
        return _records(_whole(text, what), what) if one_object else frame
    lines = [one for one in text.decode("utf-8", "replace").splitlines() if one.strip()]
    parse = json.loads
    rows: list[Any] = []
    for number, line in enumerate(lines, 1):
        try:
            rows.append(parse(line))
            continue
        except ValueError as error:
            reason = error
        if number == 1 and re.match(r"\{\s*u?'", line):
            parse = _literal
            try:
                rows.append(parse(line))
                continue
            except ValueError as error:
                reason = error
        if number == 1:
            return _records(_whole(text, what), what)
        raise DataError(
            f"{what} is not JSON in line {number:,} ({reason}): {line[:60]!r}; correct or leave out that line"
        )
    return _records(rows, what)


def _literal(line: str) -> Any:
    try:
        return ast.literal_eval(line)
    except (SyntaxError, MemoryError, RecursionError) as error:
        raise ValueError(str(error)) from error


def _whole(text: bytes, what: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise DataError(
            f"{what} is neither JSON lines nor one JSON list of records: {error}"
        ) from error


def _records(value: Any, what: str) -> pl.DataFrame:
    """Return a frame of a list of records, or of an object that holds one, or of an object of columns."""
    if isinstance(value, Mapping):
        lists = {str(name): one for name, one in value.items() if isinstance(one, list)}
        is_event = any(usual(name) in {"user", "item"} for name in value)
        if is_event and len(lists) == len(value):
            return as_frame(lists, what)
        inner = [one for one in lists.values() if one and isinstance(one[0], Mapping)]
        value = inner[0] if len(inner) == 1 and not is_event else [value]
    if not value:
        raise DataError(f"{what} has no records; a log needs at least one")
    return of_records(value, what)


def read_sql(url: str, query: str | None) -> pl.DataFrame:
    """Read the answer to a query.

    Raises
    ------
    DataError
        If the database or the query fails.
    MissingDependencyError
        If SQLAlchemy is not installed.
    """
    said = without_passwords(url)
    if re.match(r"(?:https?|ftp|file|s3|gs)://", url):
        raise DataError(f"{said} is not on this machine; fetch the file and name its path")
    if query is None:
        raise DataError(
            f"a database URL needs a query, for example 'select * from events'; got {said}"
        )
    alchemy = need("sqlalchemy", "sql")
    errors = need("sqlalchemy.exc", "sql")
    if url.startswith("sqlite:///"):
        file = url.removeprefix("sqlite:///").split("?")[0]
        if file and not Path(file).exists():
            raise DataError(f"there is no database file {file}")
    try:
        engine = alchemy.create_engine(url)
        try:
            with engine.connect() as connection:
                answer = connection.execute(alchemy.text(query))
                names = list(answer.keys()) if answer.returns_rows else []
                rows = answer.fetchall() if answer.returns_rows else []
        finally:
            engine.dispose()
    except (errors.SQLAlchemyError, ImportError) as error:
        reason = str(error).splitlines()[0]
        raise DataError(f"the query to {said} failed: {without_passwords(reason)}") from error
    if not rows:
        raise DataError(f"the query to {said} gave no rows; a log needs at least one")
    twice = sorted({one for one in names if names.count(one) > 1})
    if twice:
        raise DataError(f"the query gives two columns called {twice[0]!r}; name them with AS")
    return of_records([dict(zip(names, row, strict=True)) for row in rows], "the answer")
