"""The public API is a committed snapshot: a change to it is seen in review.

Regenerate with ``python tests/house/test_api.py``.
"""

import inspect
from pathlib import Path

import twofold as tw
from twofold.hyperparameters import names

GOLDEN = Path(__file__).parents[1] / "golden" / "api.txt"


def signature(name, one):
    if inspect.isclass(one) or callable(one):
        try:
            return f"{name}{inspect.signature(one)}"
        except ValueError:
            return name
    return name


def public_api():
    lines = []
    for module, label in (
        (tw, "tw"),
        (tw.split, "tw.split"),
        (tw.metrics, "tw.metrics"),
    ):
        for name in module.__all__:
            one = getattr(module, name)
            if not inspect.ismodule(one):
                lines.append(signature(f"{label}.{name}", one))
    for name in tw.models.__all__:
        one = getattr(tw.models, name)
        fields = ", ".join(f"{field}={getattr(one(), field)!r}" for field in names(one))
        lines.append(f"tw.models.{name}({fields})")
    for one in (tw.Dataset, tw.Report):
        for name, method in sorted(vars(one).items()):
            if not name.startswith("_"):
                target = method.__func__ if isinstance(method, classmethod) else method
                lines.append(signature(f"tw.{one.__name__}.{name}", target))
    return "\n".join(lines) + "\n"


def test_the_public_api_is_the_committed_one():
    assert public_api() == GOLDEN.read_text(), "run: python tests/house/test_api.py"


if __name__ == "__main__":
    GOLDEN.parent.mkdir(exist_ok=True)
    GOLDEN.write_text(public_api())
