"""Train LibRecommender's YouTubeRetrieval or TwoTower on pairs of ids; write the seconds of a pass and the vectors."""

import json
import os
import sys
import time
from pathlib import Path

os.environ["TF_USE_LEGACY_KERAS"] = "1"

import numpy as np
import pandas as pd
from libreco import algorithms
from libreco.data import DatasetPure

folder = Path(sys.argv[1])
given = np.load(folder / "in.npz")
settings = json.loads((folder / "settings.json").read_text())
log = pd.DataFrame({"user": given["user"], "item": given["item"], "label": 1})
train, info = DatasetPure.build_trainset(log)

own = {
    "YouTubeRetrieval": {"num_sampled_per_batch": settings["negatives"], "recent_num": 50},
    "TwoTower": {"norm_embed": True, "temperature": 0.1},
}[settings["model"]]
model = getattr(algorithms, settings["model"])(
    "ranking",
    info,
    embed_size=settings["factors"],
    n_epochs=1,
    lr=settings["learning_rate"],
    batch_size=settings["batch_size"],
    hidden_units=(settings["factors"],),
    seed=settings.get("seed", 0),
    **own,
)
seconds = []
for _ in range(settings["epochs"]):
    began = time.perf_counter()
    model.fit(train, neg_sampling=True, verbose=0)
    seconds.append(time.perf_counter() - began)
    model.user_embeds_np = None

model.set_embeddings()
users = np.array([info.user2id[one] for one in range(settings["n_users"])])
items = np.array([info.item2id.get(one, -1) for one in range(settings["n_items"])])
found = np.asarray(model.item_embeds_np)[items]
found[items < 0] = 0
(folder / "out.json").write_text(json.dumps({"per_epoch": float(np.median(seconds))}))
np.savez(folder / "out.npz", users=np.asarray(model.user_embeds_np)[users], items=found)
