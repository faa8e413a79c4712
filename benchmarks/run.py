"""Run every benchmark of one kind, one after the other: ``python benchmarks/run.py speed|quality``."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent


def main() -> int:
    """Run the scripts of the folder that is named; return how many failed."""
    kinds = sorted(one.name for one in HERE.iterdir() if (one / "README.md").is_file())
    if len(sys.argv) != 2 or sys.argv[1] not in kinds:
        sys.stderr.write(f"usage: python benchmarks/run.py {'|'.join(kinds)}\n")
        return 2
    failed = 0
    for script in sorted((HERE / sys.argv[1]).glob("*.py")):
        if script.stem in {"data", "timing"}:
            continue
        sys.stdout.write(f"\n== {script.relative_to(HERE.parent)}\n")
        sys.stdout.flush()
        failed += subprocess.run([sys.executable, str(script)], check=False).returncode != 0
    return failed


if __name__ == "__main__":
    sys.exit(main())
