"""People with known tastes who browse the lists of a server over HTTP, so that what an online test says can be held to the truth."""

from __future__ import annotations

from typing import TYPE_CHECKING

from twofold._lazy import exporter

if TYPE_CHECKING:
    from twofold.online.simulate.browsing import Day as Day
    from twofold.online.simulate.browsing import browse as browse
    from twofold.online.simulate.browsing import gathered as gathered
    from twofold.online.simulate.counterfactual import Truth as Truth
    from twofold.online.simulate.counterfactual import truth as truth
    from twofold.online.simulate.people import People as People
    from twofold.online.simulate.population import Population as Population

_HOMES = {
    "Day": "browsing",
    "People": "people",
    "Population": "population",
    "Truth": "counterfactual",
    "browse": "browsing",
    "gathered": "browsing",
    "truth": "counterfactual",
}
__all__ = ["Day", "People", "Population", "Truth", "browse", "gathered", "truth"]
__getattr__, __dir__ = exporter(__name__, {name: f"{__name__}.{_HOMES[name]}" for name in __all__})
