"""The backend on a socket: in a thread, and as a process of its own."""

import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
import requests
from sqlalchemy import insert, select

from backend.__main__ import main
from backend.client import OperatorClient
from backend.database import open_engine
from backend.rows import primary_row
from backend.server import run_backend
from backend.tables import agents, instances
from tests.support.backend import AgentApi

ROOT = Path(__file__).parents[2]
OLD, REPLICA = "i-0000000000000000a", "i-0000000000000000b"


@contextmanager
def _process(*arguments: str, **environment: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    process = subprocess.Popen(
        [sys.executable, "-W", "error::DeprecationWarning", "-m", "backend", *arguments],
        cwd=ROOT,
        env=os.environ | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        yield process.stdout.readline().strip(), process
    finally:
        process.kill()
        process.communicate(timeout=60)


def test_a_backend_in_a_thread_stops_with_its_block() -> None:
    with run_backend() as url:
        assert requests.get(f"{url}/health", timeout=10).json() == {
            "status": "ok",
            "database": "sqlite",
        }
        running = threading.active_count()

    assert threading.active_count() < running
    with pytest.raises(requests.ConnectionError):
        requests.get(f"{url}/health", timeout=10)


def test_two_backends_in_memory_do_not_share_rows() -> None:
    with run_backend() as first, run_backend() as second:
        OperatorClient(first).create_agent(OperatorClient(first).create_client().client_id)

        assert len(OperatorClient(first).agents()) == 1
        assert OperatorClient(second).agents() == []


def test_promotions_of_one_agent_take_turns(
    backend: OperatorClient, agent: AgentApi, database_url: str
) -> None:
    backend.register_primary(agent.agent_id, OLD)
    backend.enable_manual_replica(agent.agent_id, REPLICA)
    backend.replica_ready(agent.agent_id, REPLICA)
    engine = open_engine(database_url)

    with ThreadPoolExecutor(1) as threads:
        # Another promotion, half-way: it has the agent's row and writes its new primary.
        with engine.begin() as connection:
            row = connection.execute(select(agents).with_for_update()).mappings().one()
            promotion = threads.submit(backend.promote_replica, agent.agent_id, REPLICA)
            assert not wait([promotion], timeout=0.5).done
            other = {"instance_id": "i-other", "instance_type": None, "az": None}
            now = datetime.now(UTC).replace(tzinfo=None)
            connection.execute(insert(instances).values(primary_row(row, other, now)))
        zombies = promotion.result(timeout=30)
    engine.dispose()

    assert sorted(zombies) == [OLD, "i-other"]
    status = {row["id"]: row["instance_status"] for row in backend.instances(agent.agent_id)}
    assert status == {OLD: "zombie", "i-other": "zombie", REPLICA: "primary"}


def test_it_speaks_tls_with_a_certificate(tmp_path: Path) -> None:
    key, certificate = str(tmp_path / "key.pem"), str(tmp_path / "certificate.pem")
    subprocess.run(
        [
            *(
                "openssl",
                "req",
                "-x509",
                "-newkey",
                "ec",
                "-pkeyopt",
                "ec_paramgen_curve:prime256v1",
            ),
            *("-nodes", "-days", "1", "-keyout", key, "-out", certificate),
            *("-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"),
        ],
        check=True,
        capture_output=True,
    )

    with run_backend(certfile=certificate, keyfile=key) as url:
        assert url.startswith("https://127.0.0.1:")
        with OperatorClient(url, verify=certificate) as operator:
            assert operator.health()["status"] == "ok"


def test_the_process_prints_its_url_serves_and_stops_when_told(tmp_path: Path) -> None:
    database_url = f"sqlite:///{tmp_path / 'kept.db'}"
    with _process(
        *("--host", "0.0.0.0", "--quirk", "integer_booleans"),
        DATABASE_URL=database_url,
        OPERATOR_TOKEN="secret",
    ) as (printed, process):
        url = re.sub(r"^http://0\.0\.0\.0:(\d+)$", r"http://127.0.0.1:\1", printed)
        assert requests.get(f"{url}/operator/agents", timeout=10).status_code == 401
        with OperatorClient(url, operator_token="secret") as operator:
            client = operator.create_client()
            agent = AgentApi(url, operator.create_agent(client.client_id), client.token)
        assert agent.get().json()["auto_terminate_enabled"] == 1
        process.send_signal(signal.SIGTERM)
        output, errors = process.communicate(timeout=60)

    assert (output, errors) == ("", "")
    with run_backend(database_url) as url:
        assert AgentApi(url, agent.agent_id, agent.token).get().status_code == 200


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--host", "0.0.0.0"], "set OPERATOR_TOKEN"),
        (["--host", "backend.example"], "set OPERATOR_TOKEN"),
        (["--quirk", "odd"], "no quirk is called 'odd'"),
    ],
)
def test_it_does_not_start_with_wrong_settings(
    arguments: list[str],
    complaint: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.delenv("OPERATOR_TOKEN", raising=False)

    with pytest.raises(SystemExit, match="2"):
        main(arguments)

    assert complaint in capsys.readouterr().err
