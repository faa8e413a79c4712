"""Settings of every test: property tests draw the same examples everywhere, so that green stays green.

``HYPOTHESIS_PROFILE=explore`` draws new ones.
"""

import os
import shutil
import socket
import subprocess
from pathlib import Path

import pytest
from hypothesis import settings

import twofold as tw
from twofold.cli import main
from twofold.errors import TwofoldError
from twofold.testing import planted_log

settings.register_profile("settled", derandomize=True, deadline=None)
settings.register_profile("explore", max_examples=500, deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "settled"))


@pytest.fixture
def real():
    """Return a loader of real data sets that skips where TWOFOLD_DATA does not hold them."""

    def load(name):
        if not os.environ.get("TWOFOLD_DATA"):
            pytest.skip("TWOFOLD_DATA is not set")
        try:
            return tw.datasets.load(name)
        except TwofoldError as error:
            pytest.skip(f"{name} cannot be had here: {error}")

    return load


@pytest.fixture(scope="session")
def log_file(tmp_path_factory):
    """A small log as its owner would have it."""
    path = tmp_path_factory.mktemp("log") / "ratings.csv"
    planted_log().frame("interactions").write_csv(path)
    return path


@pytest.fixture
def run(capsys):
    """Run a command; return its exit code, standard output and standard error."""

    def call(*arguments):
        code = main([str(one) for one in arguments])
        said = capsys.readouterr()
        return code, said.out, said.err

    return call


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
