"""``import twofold`` is light: no compiler, no torch, no data frames."""

import subprocess
import sys

HEAVY = [
    "numba",
    "torch",
    "polars",
    "scipy",
    "pandas",
    "sklearn",
    "matplotlib",
    "optuna",
    "pydantic",
]


def test_importing_the_package_loads_nothing_heavy():
    script = f"import sys, twofold; print([m for m in {HEAVY} if m in sys.modules])"
    out = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]", out.stdout
