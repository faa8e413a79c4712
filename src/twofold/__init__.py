"""twofold: from an interaction log to a recommender its owner can trust.

>>> import twofold as tw
>>> data = tw.Dataset.from_frames(
...     {"user": [1, 1, 2, 2], "item": ["a", "b", "a", "c"]}, user="user", item="item"
... )
>>> model = tw.models.Popularity().fit(data)
>>> model.recommend(users=[1], k=1)["item"].to_list()
['c']
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from twofold._lazy import exporter
from twofold._version import __version__ as __version__

if TYPE_CHECKING:
    from twofold import applications as applications
    from twofold import datasets as datasets
    from twofold import metrics as metrics
    from twofold import models as models
    from twofold import online as online
    from twofold import split as split
    from twofold import testing as testing
    from twofold.data.dataset import Dataset as Dataset
    from twofold.data.interactions import Histories as Histories
    from twofold.data.moments import moments as moments
    from twofold.data.moments import with_moments as with_moments
    from twofold.data.moments import with_regions as with_regions
    from twofold.data.sequences import baskets as baskets
    from twofold.data.sequences import trajectories as trajectories
    from twofold.evaluation import Report as Report
    from twofold.evaluation import compare as compare
    from twofold.evaluation import evaluate as evaluate
    from twofold.loading import load as load
    from twofold.models._base import FittedModel as FittedModel
    from twofold.models._base import Memory as Memory
    from twofold.pipeline import Pipeline as Pipeline
    from twofold.resuming import checkpoints as checkpoints
    from twofold.split import Split as Split
    from twofold.tuning import tune as tune
    from twofold.vectors import Vectors as Vectors
    from twofold.vectors import read_word2vec as read_word2vec

HOMES = {
    "Dataset": "twofold.data.dataset",
    "FittedModel": "twofold.models._base",
    "Histories": "twofold.data.interactions",
    "Memory": "twofold.models._base",
    "Pipeline": "twofold.pipeline",
    "Report": "twofold.evaluation",
    "Split": "twofold.split",
    "Vectors": "twofold.vectors",
    "baskets": "twofold.data.sequences",
    "applications": "twofold.applications",
    "checkpoints": "twofold.resuming",
    "compare": "twofold.evaluation",
    "datasets": "twofold.datasets",
    "evaluate": "twofold.evaluation",
    "load": "twofold.loading",
    "metrics": "twofold.metrics",
    "models": "twofold.models",
    "read_word2vec": "twofold.vectors",
    "moments": "twofold.data.moments",
    "online": "twofold.online",
    "split": "twofold.split",
    "testing": "twofold.testing",
    "trajectories": "twofold.data.sequences",
    "tune": "twofold.tuning",
    "with_moments": "twofold.data.moments",
    "with_regions": "twofold.data.moments",
}
"""Where each public name lives."""

__all__ = [
    "Dataset",
    "FittedModel",
    "Histories",
    "Memory",
    "Pipeline",
    "Report",
    "Split",
    "Vectors",
    "__version__",
    "applications",
    "baskets",
    "checkpoints",
    "compare",
    "datasets",
    "evaluate",
    "load",
    "metrics",
    "models",
    "moments",
    "online",
    "split",
    "testing",
    "trajectories",
    "tune",
    "with_moments",
    "with_regions",
]
__getattr__, __dir__ = exporter(__name__, HOMES)
