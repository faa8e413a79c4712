"""Evaluate ranked lists with one peer; write its values, and the seconds of conversion and of evaluation."""

import json
import sys
import time
from pathlib import Path

import numpy as np

folder = Path(sys.argv[1])
given = np.load(folder / "in.npz")
settings = json.loads((folder / "settings.json").read_text())
lists, indptr, relevant = given["lists"], given["indptr"], given["relevant"]
ours, runs = settings["metrics"], settings["runs"]


def dictionaries(n):
    """Return what was listed and what is relevant, as dictionaries of dictionaries."""
    k = lists.shape[1]
    names = [str(one) for one in range(int(max(lists.max(), relevant.max())) + 1)]
    score = [float(k - place) for place in range(k)]
    run = {str(u): dict(zip([names[i] for i in lists[u]], score)) for u in range(n)}
    truth = {
        str(u): {names[i]: 1 for i in relevant[indptr[u] : indptr[u + 1]]}
        for u in range(n)
        if indptr[u + 1] > indptr[u]
    }
    return run, truth


def ranx(n):
    from ranx import Qrels, Run, evaluate

    run, truth = dictionaries(n)
    run, truth = Run(run), Qrels(truth)
    names = {"hit": "hit_rate"}
    wanted = [f"{names.get(m.split('@')[0], m.split('@')[0])}@{m.split('@')[1]}" for m in ours]

    def measure():
        found = evaluate(truth, run, wanted, make_comparable=True)
        return {a: float(found[b]) for a, b in zip(ours, wanted)}

    return measure


def pytrec_eval(n):
    import pytrec_eval as library

    run, truth = dictionaries(n)
    names = {"map": "map_cut", "ndcg": "ndcg_cut", "precision": "P", "hit": "success", "mrr": ""}
    asked = {m: names.get(m.split("@")[0], m.split("@")[0]) for m in ours}
    asked = {m: name for m, name in asked.items() if name}
    evaluator = library.RelevanceEvaluator(
        truth, {f"{name}.{m.split('@')[1]}" for m, name in asked.items()}
    )

    def measure():
        found = list(evaluator.evaluate(run).values())
        return {
            m: float(np.mean([one[f"{name}_{m.split('@')[1]}"] for one in found]))
            for m, name in asked.items()
        }

    return measure


def rectools(n):
    import pandas as pd
    from rectools import metrics as library

    k = lists.shape[1]
    reco = pd.DataFrame(
        {
            "user_id": np.repeat(np.arange(n), k),
            "item_id": lists[:n].ravel(),
            "rank": np.tile(np.arange(1, k + 1), n),
        }
    )
    truth = pd.DataFrame(
        {
            "user_id": np.repeat(np.arange(n), np.diff(indptr[: n + 1])),
            "item_id": relevant[: indptr[n]],
        }
    )
    classes = {
        "ndcg": "NDCG",
        "recall": "Recall",
        "map": "MAP",
        "precision": "Precision",
        "hit": "HitRate",
        "mrr": "MRR",
    }
    made = {m: getattr(library, classes[m.split("@")[0]])(k=int(m.split("@")[1])) for m in ours}

    def measure():
        return {
            m: float(v)
            for m, v in library.calc_metrics(made, reco=reco, interactions=truth).items()
        }

    return measure


def twofold(n):
    import twofold as tw

    def measure():
        found = tw.metrics.ranking(lists[:n], indptr[: n + 1], relevant[: indptr[n]], ours)
        return {name: float(np.nanmean(one)) for name, one in found.items()}

    return measure


prepare = {"twofold": twofold, "ranx": ranx, "pytrec_eval": pytrec_eval, "RecTools": rectools}[
    settings["name"]
]
prepare(100)()
began = time.perf_counter()
measure = prepare(len(lists))
conversion = time.perf_counter() - began
seconds = []
for _ in range(runs):
    began = time.perf_counter()
    values = measure()
    seconds.append(time.perf_counter() - began)
(folder / "out.json").write_text(
    json.dumps({"conversion": conversion, "seconds": seconds, "values": values})
)
