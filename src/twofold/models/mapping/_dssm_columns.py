"""Which features hold the words that DSSM reads."""

from __future__ import annotations

from twofold.data.columns import Bag, Column, Text, kind_of
from twofold.data.entities import Entities
from twofold.errors import ConfigError, did_you_mean


def query_column(owner: str, query: str | None, users: Entities) -> str | None:
    """Return the name of the user feature with the words of people; None where they have none. `owner` is the model.

    Raises
    ------
    ConfigError
        If there is no such feature, or none is named and several could be meant.
    """
    if query is not None:
        if query not in users.features:
            raise ConfigError(
                f"{owner}.query got {query!r}, which is no user feature; "
                f"{did_you_mean(query, users.features)}"
            )
        return query
    found = [name for name, one in users.features.items() if kind_of(one) in {"bag", "text"}]
    if len(found) > 1:
        raise ConfigError(
            f"{owner}.query got None, and the users have {len(found)} features with words: "
            f"{', '.join(found)}; name one"
        )
    return found[0] if found else None


def texts_of(name: str, entities: Entities) -> Text | Bag:
    """Return the feature with the words of users or items; see `as_texts`."""
    return as_texts(name, entities.features[name])


def as_texts(name: str, column: Column) -> Text | Bag:
    """Return a column that holds words.

    Raises
    ------
    ConfigError
        If it is of another kind.
    """
    if isinstance(column, Bag) or (isinstance(column, Text) and not column.is_path):
        return column
    raise ConfigError(
        f"no words can be read from {name!r}, which is a {kind_of(column)}; "
        "allowed kinds: bag, tags, text"
    )
