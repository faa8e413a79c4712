"""Online tests: who gets what, what they did, and what that shows. Arrays and frames; no server."""

from __future__ import annotations

from typing import TYPE_CHECKING

from twofold._lazy import exporter

if TYPE_CHECKING:
    from twofold.online import ab_test as ab_test
    from twofold.online import assign as assign
    from twofold.online import experiments as experiments
    from twofold.online import explore as explore
    from twofold.online import interleave as interleave
    from twofold.online import interleaving_report as interleaving_report
    from twofold.online import list_estimates as list_estimates
    from twofold.online import list_policies as list_policies
    from twofold.online import logged as logged
    from twofold.online import logs as logs
    from twofold.online import off_policy as off_policy
    from twofold.online import outcomes as outcomes
    from twofold.online import power as power
    from twofold.online import ratio_check as ratio_check
    from twofold.online import report as report
    from twofold.online import sequential as sequential
    from twofold.online import simulate as simulate

__all__ = [
    "ab_test",
    "assign",
    "experiments",
    "explore",
    "interleave",
    "interleaving_report",
    "list_estimates",
    "list_policies",
    "logged",
    "logs",
    "off_policy",
    "outcomes",
    "power",
    "ratio_check",
    "report",
    "sequential",
    "simulate",
]
__getattr__, __dir__ = exporter(__name__, {name: f"{__name__}.{name}" for name in __all__})
