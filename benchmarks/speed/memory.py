"""Peak memory of a full-ranking evaluation: 1,000,000 users, 100,000 items, 64 factors.

``python benchmarks/speed/memory.py [--users N] [--items N] [--save]``. A child process makes the log,
splits it, trains, evaluates with every list metric, and writes down the peak of its resident memory
after each stage; a second one does the same in blocks of another size, and the values must be equal.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
from pathlib import Path

import twofold as tw
from twofold.data.synthetic import movielens_like
from twofold.evaluation import questions as evaluation

sys.path.insert(0, str(Path(__file__).parents[1]))
import beside

EVENTS_A_USER = 10
LIMIT = 4.0
"""GiB."""
METRICS = ["ndcg@10", "recall@20", "map@10", "mrr@10", "precision@10", "hit@10", "coverage@10", "novelty@10"]  # fmt: skip


def peak() -> float:
    """Return the largest resident size of this process so far, in GiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def work(n_users: int, n_items: int, block: int) -> dict[str, object]:
    """Run every stage; return the peak after each, and the values."""
    stages: list[tuple[str, float, float]] = []
    began = time.perf_counter()

    def done(stage: str) -> None:
        nonlocal began
        stages.append((stage, peak(), time.perf_counter() - began))
        sys.stderr.write(f"{stage}: {stages[-1][2]:.1f} s, peak {peak():.2f} GiB\n")
        began = time.perf_counter()

    done("start of Python and imports")
    data = movielens_like(n_users, n_items, n_users * EVENTS_A_USER, rng=0)
    done("making the log")
    split = tw.split.leave_last(data)
    del data
    done("splitting it")
    model = tw.models.IALS(factors=64, epochs=1).fit(split.train, rng=0)
    done("training")
    evaluation.BLOCK_USERS = block
    report = tw.evaluate(model, split, METRICS)
    done("evaluation")
    return {
        "stages": stages,
        "values": dict(report.values),
        "intervals": dict(report.intervals),
        "users": report.n_users,
        "events": len(split.train) + len(split.test),
    }


def main() -> int:
    """Run the children and print the table."""
    n_users, n_items = int(option("--users", "1000000")), int(option("--items", "100000"))
    if "--child" in sys.argv:
        sys.stdout.write(json.dumps(work(n_users, n_items, int(option("--child", "4096")))))
        return 0
    found = [child(n_users, n_items, block) for block in (4096, 1000)]
    same = all(found[0][one] == found[1][one] for one in ("values", "intervals"))
    rows = [[stage, f"{gib:.2f}", f"{seconds:.0f}"] for stage, gib, seconds in found[0]["stages"]]
    highest = max(one[1] for one in found[0]["stages"])
    beside.table(
        f"Memory of a full-ranking evaluation, {n_users:,} users and {n_items:,} items",
        [
            f"A generated log of {found[0]['events']:,} events (seed 0), the last one of each user held out; IALS with",
            f"64 factors; every item is ranked for each of {found[0]['users']:,} users with something held out;",
            f"metrics {', '.join(METRICS)}, bootstrap intervals and slices.",
            "Peak resident memory of the whole process, the log, the split and the model included, after each",
            f"stage. The limit is {LIMIT:g} GiB: {'kept' if highest < LIMIT else 'NOT KEPT'}. Blocks of 4,096 and of 1,000 users give",
            "the same values and intervals, bit by bit." if same else "DIFFERENT values.",
        ],
        ["stage", "peak, GiB"],
        rows,
    )
    return int(not same or highest >= LIMIT)


def child(n_users: int, n_items: int, block: int) -> dict:
    """Run one child process; return what it found."""
    command = [sys.executable, __file__, "--child", str(block)]
    command += ["--users", str(n_users), "--items", str(n_items)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE)
    return json.loads(done.stdout)


def option(name: str, default: str) -> str:
    """Return what follows `name` on the command line."""
    return sys.argv[sys.argv.index(name) + 1] if name in sys.argv else default


if __name__ == "__main__":
    sys.exit(main())
