"""What a notebook prints of a fitted model: what was fitted to how much, not its arrays."""

from __future__ import annotations

from typing import Any


class Printed:
    """A class, and its subclasses, that are printed as their estimator and memory."""

    estimator: Any
    memory: Any

    def __init_subclass__(cls, **more: Any) -> None:
        """Let `dataclass` find a representation, so that it writes none that prints every array."""
        super().__init_subclass__(**more)
        cls.__repr__ = Printed.__repr__

    def __repr__(self) -> str:
        """Say what was fitted, and to how many users and items."""
        return f"{type(self).__name__}: {self.estimator}, {self.memory}"
