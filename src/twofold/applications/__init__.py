"""What fitted models are used for beyond lists: friendships, analogies, maps.

``links`` says who should be friends; ``analogies`` solves a - b + c; ``map2d`` draws vectors.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from twofold._lazy import exporter

if TYPE_CHECKING:
    from twofold.applications import analogies as analogies
    from twofold.applications import links as links
    from twofold.applications import map2d as map2d

__all__ = ["analogies", "links", "map2d"]
__getattr__, __dir__ = exporter(__name__, {name: f"{__name__}.{name}" for name in __all__})
