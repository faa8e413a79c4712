"""What cells and column names mean: numbers, times, nothing, and the usual names of the columns of a log."""

from __future__ import annotations

import re

MISSING = (
    "", "NA", "N/A", "#N/A", "<NA>", "NULL", "null", "NaN", "nan", "NaT", "None", "\\N",
)  # fmt: skip
"""Cells that hold nothing."""
NUMBER = r"^[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?$"
"""How numbers are written."""
INTEGER = r"^(?:0|-?[1-9][0-9]{0,18})$"
"""Ids that are all written like this, and fit into 64 bits, are integers; all others strings, '007' too."""
TIME = (
    r"^[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}(?:[T ][0-9]{1,2}:[0-9]{2}.*)?$"
    r"|^[0-9]{1,4}[/.-][0-9]{1,2}[/.-][0-9]{1,4}(?:[T ,]+[0-9]{1,2}:[0-9]{2}.*)?$"
    r"|^(?:[A-Z][a-z]{2},? )?(?:[A-Z][a-z]{2} [0-9]{1,2}|[0-9]{1,2} [A-Z][a-z]{2}) .*[0-9]{4}.*$"
)
"""What a written date begins like; see `times` for what is read."""

USUAL: dict[str, tuple[str, ...]] = {
    "user": (
        "user", "userid", "uid", "usr", "who", "userkey", "username", "customer", "customerid", "client",
        "clientid", "viewer", "viewerid", "subscriber", "subscriberid", "member", "memberid", "account", "accountid",
        "visitor", "visitorid", "fullvisitorid",
        "reviewer", "reviewerid", "buyer", "buyerid", "reader", "readerid", "listener", "listenerid", "player",
        "playerid", "person", "personid", "household", "householdid", "student", "studentid", "profile",
        "profileid", "msno", "steamid", "cookie", "cookieid", "device", "deviceid", "session", "sessionid",
    ),
    "item": (
        "item", "itemid", "iid", "what", "movie", "movieid", "film", "filmid", "product", "productid",
        "productkey", "sku", "asin", "parentasin", "isbn", "artist", "artistid", "song", "songid", "track",
        "trackid", "album", "albumid", "book", "bookid", "article", "articleid", "news", "newsid", "venue",
        "venueid", "poi", "poiid", "place", "placeid", "location", "locationid", "business", "businessid",
        "restaurant", "restaurantid", "hotel", "hotelid", "recipe", "recipeid", "game", "gameid", "app", "appid",
        "anime", "animeid", "video", "videoid", "post", "postid", "ad", "adid", "joke", "jokeid", "course",
        "courseid", "job", "jobid", "beer", "beerid", "wine", "wineid", "goods", "goodsid", "offer", "offerid",
        "content", "contentid", "imdb", "imdbid", "stockcode",
    ),
    "value": (
        "value", "rating", "ratings", "score", "stars", "star", "overall", "grade", "ratingvalue", "count", "cnt",
        "weight", "plays", "playcount", "listens", "listencount", "frequency", "quantity", "qty", "hours",
        "playtime", "preference", "clicks", "click",
        "watch", "watchtime", "watchseconds", "watched", "watchduration", "secondswatched", "dwell", "dwelltime",
        "listenseconds", "listenms", "msplayed", "secondsplayed", "playduration",
    ),
    "time": (
        "time", "timestamp", "ts", "datetime", "date", "eventtime", "eventtimestamp", "unixreviewtime",
        "unixtime", "epoch", "createdat", "created", "createdutc", "createdtime", "creationdate", "reviewtime",
        "reviewdate", "dateadded", "invoicedate", "orderdate", "purchasedate", "transactiondate", "transactiontime",
        "tdat", "eventdate", "checkintime", "visittime", "visitdate", "ratedat", "playedat", "listenedat",
        "watchedat", "startedat", "utctime", "updatedat", "dateupdated",
    ),
}  # fmt: skip
"""Names, in lower case without other signs, by which columns are found where nobody names them."""
LAST_WORDS: dict[str, tuple[str, ...]] = {
    "value": ("rating", "score", "stars", "count", "plays", "quantity"),
    "time": ("time", "timestamp", "date", "datetime", "ts", "at"),
}
"""A column that is found in no other way may end in one of these words, if it holds such values."""
DEGREES = (("latitude", "lat"), ("longitude", "lon", "lng", "long"))
"""Names of the two columns that say together where something is."""
KEYS = ("id", "key", "code", "no", "number", "nr", "idx", "index")
"""What may follow the word user or item in a longer name."""

_NUMBER, _TIME = re.compile(NUMBER), re.compile(TIME)


def is_number(text: str) -> bool:
    """Say whether a cell is a number.

    Example
    -------
    >>> is_number("4.5"), is_number("1e3"), is_number("nan"), is_number("4,5")
    (True, True, False, False)
    """
    return _NUMBER.match(text) is not None


def is_time(text: str) -> bool:
    """Say whether a cell looks like a written date, with or without a time.

    Example
    -------
    >>> is_time("2010-10-19T23:55:27Z"), is_time("12/1/2010 8:26"), is_time("1112486027")
    (True, True, False)
    """
    return _TIME.match(text) is not None


def plain(name: str) -> str:
    """Return a name in lower case without signs: ``User-ID`` is ``userid``."""
    return re.sub(r"[^a-z0-9]", "", name.lower())


def words(name: str) -> list[str]:
    """Return the words of a name in lower case.

    Example
    -------
    >>> words("anonymous_userID"), words("Book-Rating")
    (['anonymous', 'user', 'id'], ['book', 'rating'])
    """
    parted = re.sub(r"([a-z0-9])([A-Z])", r"\1 \2", name)
    return [one for one in re.split(r"[^a-z0-9]+", parted.lower()) if one]


def usual(name: str) -> str | None:
    """Return what a column of this name usually holds: user, item, value, time, or None.

    Example
    -------
    >>> usual("userId"), usual("movie_id"), usual("genres")
    ('user', 'item', None)
    """
    return next((role for role, names in USUAL.items() if plain(name) in names), None)


def near_usual(name: str) -> str | None:
    """Return what a column of a longer name probably holds, or None.

    Example
    -------
    >>> near_usual("anonymous_user_id"), near_usual("Book-Rating"), near_usual("user_age")
    ('user', 'value', None)
    """
    parts = words(name)
    if len(parts) < 2:
        return None
    if parts[-1] in KEYS and (role := usual(parts[-2])) in {"user", "item"}:
        return role
    return next((role for role, ends in LAST_WORDS.items() if parts[-1] in ends), None)
