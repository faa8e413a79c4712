"""Servers of small models, asked in this process."""

import contextlib

import pytest
from starlette.testclient import TestClient

from twofold.serve.app import create_app
from twofold.serve.live import Live
from twofold.serve.settings import Settings
from twofold.testing import planted_log


@pytest.fixture(scope="session")
def models(tmp_path_factory):
    """Saved models by name, as `twofold compare` leaves them, with reports of one split."""
    folder = tmp_path_factory.mktemp("models")
    log = planted_log()
    log.frame("interactions").write_csv(folder / "log.csv")
    job = folder / "job.toml"
    job.write_text(
        'metrics = ["ndcg@5"]\n[data]\nsource = "log.csv"\n[split]\nkind = "last_fraction"\n'
        "test = 0.2\nvalidation = 0\n[models.good]\nclass = 'IALS'\nfactors = 4\n[models.better]\n"
        "class = 'IALS'\nfactors = 6\n[models.EASE]\n[models.Popularity]\n"
    )
    assert tw_main("compare", job, "--out", folder / "run") == 0
    return folder / "run" / "models"


def tw_main(*arguments):
    from twofold.cli import main

    return main([str(one) for one in arguments])


@pytest.fixture
def served(models, tmp_path):
    """Return a function that opens a server on a state and yields its client; `served.live` is the last one."""
    with contextlib.ExitStack() as stack:

        def start(name="good", *, keys=None, state="state", **settings):
            model = None if name is None else str(models / name if isinstance(name, str) else name)
            told = {"state": str(tmp_path / state), "model": model, "poll": 0.05, **settings}
            start.live = Live.open(Settings(**told))
            app = create_app(start.live, keys)
            return stack.enter_context(TestClient(app, raise_server_exceptions=False))

        yield start


@pytest.fixture
def ask(served):
    """A client of a server of iALS."""
    return served()
