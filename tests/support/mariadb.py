"""A private MariaDB server for the tests: on loopback, in a temporary folder, one per session.

Where ``mariadbd`` is not installed its tests are skipped; with ``REQUIRE_MARIADB=1`` they fail.
"""

import getpass
import itertools
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pymysql
import pytest

_PROGRAMS = ("mariadbd", "mariadb-install-db", "mariadb")
_START_SECONDS = 30
_ATTEMPTS = 3  # the free port may be taken before the server has it


@dataclass(frozen=True)
class MariaDbServer:
    """A running server, and the databases made on it."""

    port: int
    socket_path: Path
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    def fresh_database(self) -> str:
        """The DATABASE_URL of a new, empty database."""
        name = f"test_{next(self._numbers)}"
        self._administer(f"CREATE DATABASE {name} CHARACTER SET utf8mb4")
        return f"mysql+pymysql://root@127.0.0.1:{self.port}/{name}"

    def run_client(self, database_url: str, sql: str) -> str:
        """Feed SQL to the real command-line client, as an operator does; its tab-separated output."""
        command = ["mariadb", "--no-defaults", "--user=root", f"--socket={self.socket_path}"]
        done = subprocess.run(
            [*command, "--batch", _name(database_url)],
            input=sql,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def _administer(self, statement: str) -> None:
        with (
            pymysql.connect(unix_socket=str(self.socket_path), user="root") as connection,
            connection.cursor() as cursor,
        ):
            cursor.execute(statement)


def _name(database_url: str) -> str:
    return database_url.rpartition("/")[2]


@contextmanager
def run_mariadb(folder: Path) -> Iterator[MariaDbServer]:
    """A server while the block runs; its data lies in ``folder``."""
    user = f"--user={getpass.getuser()}"
    data, socket_path, temporary = folder / "data", folder / "s", folder / "tmp"
    # Servers that start with a common folder for temporary tables clear each other's away.
    temporary.mkdir()
    environment = os.environ | {"TMPDIR": str(temporary)}
    subprocess.run(
        [
            "mariadb-install-db",
            "--no-defaults",
            user,
            f"--datadir={data}",
            "--auth-root-authentication-method=normal",
            "--skip-test-db",
        ],
        env=environment,
        check=True,
        capture_output=True,
        timeout=60,
    )
    for attempt in range(1, _ATTEMPTS + 1):
        port = _free_port()
        process = subprocess.Popen(
            [
                "mariadbd",
                "--no-defaults",
                user,
                f"--datadir={data}",
                f"--port={port}",
                "--bind-address=127.0.0.1",
                f"--socket={socket_path}",
                f"--pid-file={folder / 'pid'}",
                f"--log-error={folder / 'log'}",
                # Thrown away afterwards: nothing needs to survive a power cut.
                "--innodb-flush-method=nosync",
                "--innodb-flush-log-at-trx-commit=0",
                "--innodb-buffer-pool-size=64M",
                "--max-connections=300",
                # Not UTC, so that a test fails where the session's zone matters.
                "--default-time-zone=+05:30",
            ],
            env=environment,
            stdin=subprocess.DEVNULL,
        )
        try:
            if _answers(process, socket_path):
                yield MariaDbServer(port, socket_path)
                return
        finally:
            process.kill()  # its folder goes with it: no need to wait for an orderly end
            process.wait(30)
        if attempt == _ATTEMPTS:
            raise RuntimeError(f"mariadbd did not start: {(folder / 'log').read_text()[-2000:]}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _answers(process: subprocess.Popen[bytes], socket_path: Path) -> bool:
    deadline = time.monotonic() + _START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        try:
            pymysql.connect(unix_socket=str(socket_path), user="root").close()
        except pymysql.err.OperationalError:
            time.sleep(0.02)
        else:
            return True
    return False


@pytest.fixture(scope="session")
def mariadb_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MariaDbServer]:
    missing = [program for program in _PROGRAMS if shutil.which(program) is None]
    if missing and os.environ.get("REQUIRE_MARIADB") == "1":
        pytest.fail(f"REQUIRE_MARIADB=1, but there is no {', '.join(missing)}")
    if missing:
        pytest.skip(f"needs {', '.join(missing)}")
    with run_mariadb(tmp_path_factory.mktemp("mariadb")) as server:
        yield server


@pytest.fixture
def mariadb_url(mariadb_server: MariaDbServer) -> str:
    """A new, empty database, dropped with the server."""
    return mariadb_server.fresh_database()
