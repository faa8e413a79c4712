"""Servers of small models, asked in this process."""

import contextlib
import os
import shutil
import socket
import subprocess
from pathlib import Path

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


class Database:
    """A PostgreSQL server that can be stopped and started again."""

    def __init__(self, url, run, start):
        self.url, self.run, self.start = url, run, start


@pytest.fixture
def postgresql():
    """Start a PostgreSQL server on a free port, in a folder of its own."""
    found = [*sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)]
    found += [Path(one).parent for one in [shutil.which("initdb")] if one]
    programs = next((one for one in found if (one / "initdb").exists()), None)
    if programs is None:
        pytest.skip("no PostgreSQL server is installed (initdb is not found)")
    # initdb refuses root.
    as_owner = ["runuser", "-u", "postgres", "--"] if os.getuid() == 0 else []
    if as_owner and (shutil.which("runuser") is None or subprocess.run(["id", "postgres"], check=False, capture_output=True).returncode):  # fmt: skip
        pytest.skip("PostgreSQL does not run as root, and there is no user postgres")
    folder = Path(subprocess.run([*as_owner, "mktemp", "-d", "/tmp/twofold-pg-XXXXXX"], check=True, capture_output=True, text=True).stdout.strip())  # fmt: skip
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    settings = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories='' -c fsync=off"

    def run(program, *arguments):
        call = [*as_owner, str(programs / program), "-D", str(folder / "base"), *arguments]
        subprocess.run(call, check=True, stdout=subprocess.DEVNULL, cwd="/")

    def start():
        run("pg_ctl", "-l", str(folder / "log"), "-o", settings, "-w", "-t", "60", "start")

    try:
        run("initdb", "-U", "owner", "-A", "trust", "--no-sync", "-E", "UTF8")
        start()
        try:
            yield Database(f"postgresql://owner:secret@127.0.0.1:{port}/postgres", run, start)
        finally:
            run("pg_ctl", "-m", "immediate", "stop")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
