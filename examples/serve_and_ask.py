"""A model behind HTTP, asked in this process: lists, an event that is in the next answer, a better version.

On a machine of yours the server is a process of its own, ``twofold serve runs/ials``, and any HTTP client asks it.
"""

import sys
import tempfile
from pathlib import Path

from starlette.testclient import TestClient

import twofold as tw
from twofold.serve.app import create_app
from twofold.serve.live import Live
from twofold.serve.settings import Settings
from twofold.testing import planted_log


def shown(what: str, answer: dict) -> None:
    items = ", ".join(str(one["item"]) for one in answer["items"])
    sys.stdout.write(
        f"{what}: {items} ({answer['model']} version {answer['version']}, {answer['source']})\n"
    )


def main() -> None:
    folder = Path(tempfile.mkdtemp())
    data = planted_log()
    tw.models.IALS(factors=4).fit(data, rng=0).save(folder / "ials")
    tw.models.EASE().fit(data, rng=0).save(folder / "ease")
    settings = Settings(state=str(folder / "state"), model=str(folder / "ials"))
    with TestClient(create_app(Live.open(settings))) as server:
        user = data.users.ids[0]
        shown("a known user", server.post("/recommend", json={"user": user, "k": 3}).json())
        shown("a stranger", server.post("/recommend", json={"user": "new", "k": 3}).json())
        server.post("/events", json={"user": "new", "item": "i5", "kind": "click"})
        shown("a click later", server.post("/recommend", json={"user": "new", "k": 3}).json())
        version = server.post("/models", json={"path": str(folder / "ease")}).json()["version"]
        refused = server.post(f"/models/{version}/promote", json={}).json()
        sys.stdout.write(f"{refused['error']['message']}\n")
        server.post(f"/models/{version}/promote", json={"force": True, "note": "an example"})
        shown("promoted", server.post("/recommend", json={"user": user, "k": 3}).json())
        server.post("/models/rollback")
        shown("rolled back", server.post("/recommend", json={"user": user, "k": 3}).json())


if __name__ == "__main__":
    main()
