"""What stands in the address of a request: ids and lengths."""

from __future__ import annotations

from fastapi import Request

from twofold.serve.failures import Refused
from twofold.serve.schemas import LONGEST_LIST


def length(request: Request) -> int:
    """Return ``k`` of a query string.

    Raises
    ------
    Refused
        If it is no length, or something else is asked.
    """
    for name in request.query_params:
        if name != "k":
            raise Refused(422, "unknown_field", f"there is no parameter {name!r}", "allowed: k")
    text = request.query_params.get("k", "10")
    k = int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0
    if not 1 <= k <= LONGEST_LIST:
        raise Refused(422, "bad_request", f"k got {text[:50]!r}", f"give 1 to {LONGEST_LIST:,}")
    return k


def check_id(text: str) -> None:
    """Refuse an id that cannot be kept.

    Raises
    ------
    Refused
        If it is too long, or holds a character of value 0.
    """
    if not 1 <= len(text) <= 512 or "\x00" in text:
        raise Refused(
            422,
            "bad_request",
            f"an item id of {len(text):,} characters",
            "give 1 to 512, none of value 0",
        )
