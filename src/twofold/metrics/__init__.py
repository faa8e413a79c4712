"""Metrics with written definitions: see docs/metrics.md, which is printed from these tables."""

from __future__ import annotations

from twofold.metrics.beyond_accuracy import coverage, diversity, gini, novelty, popularity_bias
from twofold.metrics.classification import log_loss, roc_auc
from twofold.metrics.names import DEFINITIONS, Metric, parse
from twofold.metrics.ranking import auc, ranking
from twofold.metrics.rating import mae, rmse

__all__ = [
    "DEFINITIONS",
    "Metric",
    "auc",
    "coverage",
    "diversity",
    "gini",
    "log_loss",
    "mae",
    "novelty",
    "parse",
    "popularity_bias",
    "ranking",
    "rmse",
    "roc_auc",
]
