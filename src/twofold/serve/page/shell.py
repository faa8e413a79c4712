"""What the browser is given: templates, static files, and the headers that keep a page to itself."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.responses import Response

from twofold._version import __version__

HERE = Path(__file__).parent
KINDS = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
"""Kinds of static files."""
POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)
"""Nothing from elsewhere, nothing inline, in no frame."""
HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cache-control": "no-store",
}
KEPT = "public, max-age=31536000, immutable"
"""Static files are asked for by their content, so that they may be kept."""


class View(NamedTuple):
    """A page."""

    path: str
    name: str
    title: str
    lead: str


VIEWS = {
    "try": View(
        "/", "Try it", "Try a recommendation",
        "Ask for somebody you know, for a history you make up, or for a sentence.",
    ),
    "similar": View(
        "/page/similar", "Similar", "Similar items", "The items that the model holds most alike.",
    ),
    "map": View(
        "/page/map", "Map", "Map of the items",
        "Items that the model holds alike stand beside each other.",
    ),
    "leaderboard": View(
        "/page/leaderboard", "Leaderboard", "Leaderboard",
        "How the versions did on what was held out, with intervals.",
    ),
    "versions": View(
        "/page/versions", "Versions", "Versions",
        "Which model answers, which others are registered, and what was done to them.",
    ),
    "experiments": View(
        "/page/experiments", "Experiment", "The running experiment",
        "Who saw what, and whether it made a difference.",
    ),
}  # fmt: skip


class Static(NamedTuple):
    """A file as it is sent."""

    body: bytes
    kind: str
    digest: str


@cache
def static_files() -> dict[str, Static]:
    """Return the static files by name."""
    return {
        one.name: Static(
            one.read_bytes(), KINDS[one.suffix], hashlib.sha256(one.read_bytes()).hexdigest()[:12]
        )
        for one in sorted((HERE / "static").iterdir())
        if one.suffix in KINDS
    }


def address(name: str) -> str:
    """Return the address of a static file, which changes with its content."""
    return f"/page/static/{name}?{static_files()[name].digest}"


def moment(time: float) -> str:
    """Return seconds since 1970 as a time to read.

    Example
    -------
    >>> moment(86400.0)
    '1970-01-02 00:00'
    """
    return f"{datetime.fromtimestamp(time, UTC):%Y-%m-%d %H:%M}"


def tail(path: str) -> str:
    """Return the last three parts of a path.

    Example
    -------
    >>> tail("/srv/somewhere/runs/first/models/ials")
    '…/first/models/ials'
    """
    parts = Path(path).parts
    return path if len(parts) <= 4 else "/".join(("…", *parts[-3:]))


@cache
def templates() -> Environment:
    """Return the templates; everything that is put into one is escaped."""
    made = Environment(
        loader=FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters.update({"moment": moment, "tail": tail})
    known: dict[str, Any] = {"address": address, "views": VIEWS, "release": __version__}
    made.globals.update(known)
    return made


def html(template: str, status: int = 200, **values: Any) -> Response:
    """Return a filled template."""
    made = templates().get_template(template).render(values)
    return Response(made, status, HEADERS, "text/html; charset=utf-8")


def static(name: str) -> Response | None:
    """Return a static file, None where there is none of this name."""
    found = static_files().get(name)
    if found is None:
        return None
    return Response(found.body, 200, {**HEADERS, "cache-control": KEPT}, found.kind)
