"""The operator's side of the reference backend, as a typed client for demos and tests."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Self

import requests

from backend.quirks import Quirks

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Credentials:
    """A client's id and the token that its agents show."""

    client_id: str
    token: str


class OperatorClient:
    """Calls the ``/operator`` routes of one backend; an error answer raises ``requests.HTTPError``."""

    def __init__(
        self, base_url: str, *, operator_token: str | None = None, verify: bool | str = True
    ) -> None:
        self.base_url = base_url
        self._session = requests.Session()
        self._session.trust_env = False  # no proxy, no .netrc: the backend is local
        self._session.verify = verify
        if operator_token is not None:
            self._session.headers["Authorization"] = f"Bearer {operator_token}"

    def close(self) -> None:
        """Let go of the connections."""
        self._session.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _call(self, method: str, path: str, body: object = None) -> Any:  # noqa: ANN401  # JSON
        answer = self._session.request(method, self.base_url + path, json=body, timeout=60)
        if not answer.ok:
            message = f"{answer.status_code} for {method} {path}: {answer.text}"
            raise requests.HTTPError(message, response=answer)
        return answer.json()

    def health(self) -> Row:
        """Whether the service and its database answer."""
        answer: Row = self._call("GET", "/health")
        return answer

    def create_client(self, name: str = "client") -> Credentials:
        """A new client with its token."""
        return Credentials(**self._call("POST", "/operator/clients", {"name": name}))

    def deactivate_client(self, client_id: str) -> None:
        """Its calls are answered with 403 from now."""
        self._call("PATCH", f"/operator/clients/{client_id}", {"is_active": False})

    def activate_client(self, client_id: str) -> None:
        """Undo ``deactivate_client``."""
        self._call("PATCH", f"/operator/clients/{client_id}", {"is_active": True})

    def rotate_token(self, client_id: str) -> str:
        """The client's new token; the old one is invalid from now."""
        return str(self._call("POST", f"/operator/clients/{client_id}/token")["token"])

    def create_agent(
        self, client_id: str, region: str = "us-east-1", *, agent_id: str | None = None
    ) -> str:
        """A new agent's id."""
        wanted = {"client_id": client_id, "region": region, "agent_id": agent_id}
        return str(self._call("POST", "/operator/agents", wanted)["id"])

    def set_auto_terminate(self, agent_id: str, *, enabled: bool) -> None:
        """The agent's ``auto_terminate_enabled``."""
        self._call("PATCH", f"/operator/agents/{agent_id}", {"auto_terminate_enabled": enabled})

    def set_terminate_wait(self, agent_id: str, seconds: int) -> None:
        """The agent's ``terminate_wait_seconds``."""
        self._call("PATCH", f"/operator/agents/{agent_id}", {"terminate_wait_seconds": seconds})

    def register_primary(
        self,
        agent_id: str,
        instance_id: str,
        *,
        instance_type: str | None = "c5.large",
        az: str | None = "us-east-1a",
    ) -> None:
        """A running instance that the client uses."""
        wanted = {"instance_id": instance_id, "instance_type": instance_type, "az": az}
        self._call("POST", f"/operator/agents/{agent_id}/instances", wanted)

    def add_zombies(
        self,
        agent_id: str,
        instance_ids: Sequence[str],
        *,
        instance_type: str | None = "c5.large",
        az: str | None = "us-east-1a",
        age_seconds: float = 0.0,
    ) -> int:
        """Many zombies at once, marked ``age_seconds`` ago; how many."""
        wanted = {
            "instance_ids": list(instance_ids),
            "instance_type": instance_type,
            "az": az,
            "age_seconds": age_seconds,
        }
        return int(self._call("POST", f"/operator/agents/{agent_id}/zombies", wanted)["added"])

    def enable_manual_replica(
        self,
        agent_id: str,
        instance_id: str,
        *,
        instance_type: str | None = "c5.large",
        az: str | None = "us-east-1b",
    ) -> None:
        """Manual replica mode on, with this EC2 instance as the launching replica."""
        wanted = {"instance_id": instance_id, "instance_type": instance_type, "az": az}
        self._call("POST", f"/operator/agents/{agent_id}/manual-replica", wanted)

    def replica_ready(self, agent_id: str, instance_id: str) -> None:
        """The replica has caught up and may be promoted."""
        self._call("POST", f"/operator/agents/{agent_id}/replicas/{instance_id}/ready")

    def disable_manual_replica(self, agent_id: str) -> int:
        """Manual replica mode off; how many active replicas are to be terminated."""
        answer = self._call("DELETE", f"/operator/agents/{agent_id}/manual-replica")
        return int(answer["terminated"])

    def promote_replica(self, agent_id: str, instance_id: str) -> list[str]:
        """The replica becomes the primary; the ids of the old primaries, now zombies."""
        zombies: list[str] = self._promote(agent_id, instance_id)["zombies"]
        return zombies

    def switch(self, agent_id: str, instance_id: str) -> str:
        """The same; the new primary's agent, by quirk 12 another one."""
        return str(self._promote(agent_id, instance_id)["agent_id"])

    def _promote(self, agent_id: str, instance_id: str) -> Row:
        path = f"/operator/agents/{agent_id}/replicas/{instance_id}/promote"
        answer: Row = self._call("POST", path)
        return answer

    def auto_switch_on(self, agent_id: str) -> int:
        """The agent switches by itself from now; how many of its replicas were marked."""
        return int(self._call("POST", f"/operator/agents/{agent_id}/auto-switch")["terminated"])

    def delete_agent(self, agent_id: str) -> int:
        """The agent is given up; how many of its replicas were marked."""
        return int(self._call("DELETE", f"/operator/agents/{agent_id}")["terminated"])

    def report_pricing(self, agent_id: str, instance_id: str) -> None:
        """What a running agent sends about its instance every five minutes."""
        self._call("POST", f"/operator/agents/{agent_id}/instances/{instance_id}/pricing")

    def age(self, agent_id: str, seconds: float, *, instance_id: str | None = None) -> int:
        """Let so much time seem to have passed for the agent's rows, or one instance's; how many."""
        wanted = {"seconds": seconds, "instance_id": instance_id}
        return int(self._call("POST", f"/operator/agents/{agent_id}/age", wanted)["aged"])

    def agent(self, agent_id: str) -> Row:
        """The agent's row."""
        found: Row = self._call("GET", f"/operator/agents/{agent_id}")
        return found

    def agents(self) -> list[Row]:
        """All agents' rows."""
        return self._rows("/operator/agents")

    def instances(self, agent_id: str) -> list[Row]:
        """The agent's instances, the newest first; so with all lists here."""
        return self._rows(f"/operator/agents/{agent_id}/instances")

    def replicas(self, agent_id: str) -> list[Row]:
        """The agent's replicas."""
        return self._rows(f"/operator/agents/{agent_id}/replicas")

    def events(self, agent_id: str) -> list[Row]:
        """The agent's system events."""
        return self._rows(f"/operator/agents/{agent_id}/events")

    def cleanup_logs(self, agent_id: str) -> list[Row]:
        """The agent's cleanup reports."""
        return self._rows(f"/operator/agents/{agent_id}/cleanup-logs")

    def _rows(self, path: str) -> list[Row]:
        rows: list[Row] = self._call("GET", path)
        return rows

    def quirks(self) -> Quirks:
        """The quirks that are on."""
        return Quirks(**self._call("GET", "/operator/quirks"))

    def set_quirks(self, quirks: Quirks) -> None:
        """The quirks that shall be on from now; ``Quirks()`` switches all off."""
        self._call("PUT", "/operator/quirks", asdict(quirks))
