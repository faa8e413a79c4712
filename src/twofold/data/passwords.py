"""What of a text may be shown and kept: URLs of databases hold passwords."""

from __future__ import annotations

import re

OF_A_USER = re.compile(r"//([^:/@\s]*):[^@\s]*@(?:[^@/?\s]*@)*")
"""``//user:password@``, as SQLAlchemy parts it, and what is left of a password with an ``@`` in it."""
OF_A_QUERY = re.compile(
    r"([?&;](?:\w*passw(?:or)?d|pwd|\w*secret|\w*token)=)[^&;\s]*", re.IGNORECASE
)
"""A password among the settings behind ``?``."""


def without_passwords(text: str) -> str:
    """Return a text with ``***`` in place of the passwords of the URLs in it.

    Example
    -------
    >>> without_passwords("postgresql://me:p@ss@host/shop?sslmode=on&password=x")
    'postgresql://me:***@host/shop?sslmode=on&password=***'
    """
    return OF_A_QUERY.sub(r"\1***", OF_A_USER.sub(r"//\1:***@", text))
