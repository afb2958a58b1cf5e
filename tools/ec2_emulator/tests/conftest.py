from collections.abc import Iterator

import pytest
from moto.server import ThreadedMotoServer

from tools.ec2_emulator import Emulator, ManualClock
from tools.ec2_emulator.tests.sides import Clients, EmulatorSide, MotoSide, Side


@pytest.fixture(autouse=True)
def no_aws_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    # A developer's own profile or region must not decide what these tests see.
    monkeypatch.setenv("AWS_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
    monkeypatch.delenv("AWS_PROFILE", raising=False)


@pytest.fixture(scope="session")
def server() -> Iterator[Emulator]:
    with Emulator() as emulator:
        yield emulator


@pytest.fixture(scope="session")
def emulator_clients(server: Emulator) -> Clients:
    return Clients(server.url)


@pytest.fixture(scope="session")
def moto() -> Iterator[MotoSide]:
    moto_server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    moto_server.start()
    host, port = moto_server.get_host_and_port()
    yield MotoSide(Clients(f"http://{host}:{port}"))
    moto_server.stop()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def emulator(server: Emulator, clock: ManualClock) -> Emulator:
    server.reset(clock=clock)
    return server


@pytest.fixture
def aws(emulator: Emulator, emulator_clients: Clients) -> Clients:
    """boto3's clients of the emulator."""
    return emulator_clients


@pytest.fixture(params=["emulator", "moto"])
def side(request: pytest.FixtureRequest, emulator: Emulator, emulator_clients: Clients) -> Side:
    if request.param == "emulator":
        return EmulatorSide(emulator, emulator_clients)
    moto: MotoSide = request.getfixturevalue("moto")
    return moto
