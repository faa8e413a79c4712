"""The page of a server: HTML made here, a small script, no outside address.

The pages themselves hold no data. What they show is fetched as fragments below ``/page/data/``, which need a
key that may read wherever keys are on.
"""

from twofold.serve.page.routes import mount

__all__ = ["mount"]
