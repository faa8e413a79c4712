"""Files and folders that take their place whole: written under another name beside it, then renamed."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
import uuid
from collections.abc import Generator
from pathlib import Path

from twofold.errors import DataError


def reason_of(error: OSError) -> str:
    """Return what the system said; NumPy's own errors of writing have no ``strerror``."""
    return error.strerror or str(error)


def replace_folder(draft: Path, path: Path) -> None:
    """Put the finished folder `draft` in the place of `path` by renaming; on failure nothing moves."""
    draft.chmod(0o755)
    if not path.exists():
        draft.rename(path)
        return
    aside = Path(tempfile.mkdtemp(prefix=f".{path.name}-old-", dir=path.parent))
    try:
        path.rename(aside / "old")
        try:
            draft.rename(path)
        except OSError:
            (aside / "old").rename(path)
            raise
    finally:
        shutil.rmtree(aside, ignore_errors=True)


@contextlib.contextmanager
def draft_of(path: Path, advice: str, *, shared: bool = False) -> Generator[Path]:
    """Give a temporary name beside `path` to write to; what stands there at the end takes its place, whole.

    Where others may write the same file at the same time it is `shared`: each then has a name of its own.

    Raises
    ------
    DataError
        If it cannot be written, ending in the `advice`; what was at `path` is left as it was.
    """
    own = f".{uuid.uuid4().hex}" if shared else ""
    draft = path.with_name(f".{path.name}{own}.draft")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield draft
        draft.replace(path)
    except OSError as error:
        raise DataError(f"cannot write {path}: {reason_of(error)}; {advice}") from error
    finally:
        with contextlib.suppress(OSError):
            draft.unlink(missing_ok=True)


def write_page(path: str | Path, text: str) -> Path:
    """Write a text file under a temporary name, then rename it.

    Raises
    ------
    DataError
        If it cannot be written.
    """
    path = Path(path)
    with draft_of(path, "choose another place") as draft:
        draft.write_text(text, encoding="utf-8")
    return path
