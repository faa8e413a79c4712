"""What a command checks before it trains anything."""

from __future__ import annotations

from twofold.data.sequences import baskets
from twofold.errors import ConfigError
from twofold.jobs import Job
from twofold.metrics import parse
from twofold.split import Split, check_leaks


def check_split(job: Job, cut: Split) -> None:
    """Check before anything is trained that the split has what the job measures.

    Raises
    ------
    ConfigError
        If a part or the values are missing.
    DataError
        If baskets are asked for and the log has no times.
    LeakError
        If training knows something about the held-out part.
    """
    if job.evaluation.part == "validation" and cut.validation is None:
        raise ConfigError(
            '[evaluation] part = "validation" needs a split that has one; '
            "set validation = 0.1 in [split]"
        )
    rating = [one for one in job.metrics or () if parse(one).family == "rating"]
    if rating and not cut.test.interactions.has_value:
        raise ConfigError(
            f"{rating[0]} needs a log with ratings, and this one has none; "
            "name their column as the value, or leave the metric out"
        )
    if job.evaluation.ask == "each basket":
        baskets(cut.test)
    check_leaks(cut)
