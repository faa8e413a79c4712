"""API keys: who may read, write, administer."""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from twofold.errors import ConfigError, did_you_mean

ROLES = ("read", "write", "admin")
"""Each may do what the ones before it may."""
SHORTEST = 16
"""Characters of the shortest key."""


@dataclass(frozen=True)
class Keys:
    """Hashes of the keys with the rank of their role; without any, everybody may do everything.

    A key is looked up by its SHA-256, so that how long it takes tells nothing of the keys.
    """

    ranks: Mapping[bytes, int] = field(default_factory=dict[bytes, int])

    @classmethod
    def of(cls, keys: Mapping[str, Sequence[str]]) -> Keys:
        """Take keys by role.

        Raises
        ------
        ConfigError
            If there is no such role, a key is short or stands twice, or there are none.
        """
        ranks: dict[bytes, int] = {}
        for role, listed in keys.items():
            if role not in ROLES:
                raise ConfigError(f"there is no role {role!r} of keys; {did_you_mean(role, ROLES)}")
            if isinstance(listed, str) or not all(isinstance(one, str) for one in listed):
                raise ConfigError(f'{role} takes a list of keys; write {role} = ["..."]')
            for one in listed:
                if len(one) < SHORTEST:
                    raise ConfigError(
                        f"a key of {role} has {len(one)} characters, at least {SHORTEST} are needed; "
                        "make one with: openssl rand -hex 24"
                    )
                if digest(one) in ranks:
                    raise ConfigError(f"a key of {role} stands twice; each key has one role")
                ranks[digest(one)] = ROLES.index(role)
        if not ranks:
            raise ConfigError('no keys are given; write for example read = ["..."] into the file')
        return cls(ranks)

    @classmethod
    def read(cls, path: str | Path) -> Keys:
        """Read a TOML file of ``read``, ``write`` and ``admin``, lists of keys.

        Raises
        ------
        ConfigError
            If it cannot be read, or as `of` says.
        """
        try:
            found = tomllib.loads(Path(path).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else error
            raise ConfigError(
                f"cannot read the keys of {path}: {reason}; see docs/serving.md"
            ) from error
        return cls.of(found)

    def allows(self, key: str | None, role: str) -> bool | None:
        """Say whether a key may do what `role` may; None where it is none of the keys."""
        if not self.ranks:
            return True
        rank = self.ranks.get(digest(key)) if key else None
        return None if rank is None else rank >= ROLES.index(role)


def digest(key: str) -> bytes:
    """Return the SHA-256 of a key."""
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest()
