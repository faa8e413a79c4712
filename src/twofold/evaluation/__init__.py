"""The offline test: one model measured, several compared, with intervals and paired tests."""

from __future__ import annotations

from twofold.evaluation.compare import Leaderboard, Result, compare
from twofold.evaluation.report import Report
from twofold.evaluation.run import evaluate

__all__ = ["Leaderboard", "Report", "Result", "compare", "evaluate"]
