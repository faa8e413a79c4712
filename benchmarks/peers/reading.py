"""Read one CSV file of ratings once with one library; print seconds, bytes and counts as JSON."""

import json
import sys
import time
from pathlib import Path

reader, path = sys.argv[1:]


def twofold():
    from twofold import Dataset

    def run():
        data = Dataset.read(path)
        return data.n_users, data.n_items, len(data)

    return run


def rectools():
    import pandas as pd
    from rectools import Columns
    from rectools.dataset import Dataset

    def run():
        frame = pd.read_csv(path)
        frame.columns = [Columns.User, Columns.Item, Columns.Weight, Columns.Datetime]
        data = Dataset.construct(frame)
        return data.user_id_map.size, data.item_id_map.size, len(data.interactions.df)

    return run


def lenskit():
    import pandas as pd
    from lenskit.data import from_interactions_df

    def run():
        frame = pd.read_csv(path)
        frame.columns = ["user_id", "item_id", "rating", "timestamp"]
        data = from_interactions_df(frame)
        return data.user_count, data.item_count, data.interaction_count

    return run


run = {"twofold": twofold, "RecTools": rectools, "LensKit": lenskit}[reader]()
began = time.perf_counter()
users, items, events = run()
seconds = time.perf_counter() - began
# Not getrusage: it still counts what the process was before it became this one.
status = Path("/proc/self/status").read_text().split("VmHWM:")[1]
peak = int(status.split()[0]) * 1024
print(
    json.dumps(
        {
            "seconds": seconds,
            "bytes": peak,
            "users": int(users),
            "items": int(items),
            "events": int(events),
        }
    )
)
