"""The environment and the event, read into one frozen value (contract section 2, "Environment").

By hand: a validation library was half of the cold start.
"""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, Literal, NamedTuple, Self, get_args

from handler.instances.model import Agent, UntaggedReplicas
from handler.instances.rules import AsgMembers, MissingPolicy
from handler.values import (
    SAM_HOST,
    Reader,
    Tags,
    agents,
    boolean,
    capitals,
    matching,
    one_of,
    server_url,
    shown,
    tags,
    text_up_to,
    whole,
)

LogLevel = Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"]


class SettingsError(Exception):
    """The environment cannot be worked with; names every bad variable, and every bad key."""


class EventError(SettingsError):
    """The event cannot be worked with, and maybe the environment neither."""


ENVELOPE = frozenset(
    (
        *("version", "id", "detail-type", "source", "account", "time", "region", "resources"),
        *("replay-name", "detail"),
    )
)
"""The fields that EventBridge puts into an event; none of them is read."""
SECRET = frozenset({"CLIENT_TOKEN", "CLIENT_TOKEN_PARAMETER", "SERVER_URL"})
"""Variables whose value no error shows: a URL may hold a password, and it has happened that the
token itself was put where its parameter's name belongs."""
_NAME = matching(r"[A-Za-z0-9_./:-]{1,1600}", "a name or an ARN")
_PARAMETER = matching(
    r"(?:[A-Za-z0-9_./:-]|\{agent_id\}){1,1600}", "an SSM parameter's name; {agent_id} is filled in"
)
_SCHEDULE = matching(r"[A-Za-z0-9_.-]{1,64}/[A-Za-z0-9_.-]{1,64}", "a schedule's group/name")
_TOKEN = matching(r"[!-~]+", "what an HTTP header can carry")
_COUNT = whole(1, 1_000_000)
_SECONDS = whole(1, 366 * 86400)
_DAYS = whole(1, 3650)

VARIABLES: Mapping[str, tuple[str, Reader, str | None]] = {
    "AWS_REGION": ("region", _NAME, None),
    "AGENT_ID": ("agents", agents, None),
    "SERVER_URL": ("server_url", server_url, None),
    "CLIENT_TOKEN_PARAMETER": ("token_parameter_pattern", _PARAMETER, ""),
    "CLIENT_TOKEN": ("client_token", _TOKEN, ""),
    "BACKEND_CA_PARAMETER": ("backend_ca_parameter", _NAME, ""),
    "AUTO_TERMINATE_ENABLED": ("auto_terminate_enabled", boolean, "true"),
    "DRY_RUN": ("dry_run", boolean, "false"),
    "CONFIRM_TERMINATION": ("confirm_termination", boolean, "false"),
    "REQUIRED_TAGS": ("required_tags", tags, "ManagedBy=SpotOptimizer"),
    "UNTAGGED_REPLICAS": ("untagged_replicas", one_of(UntaggedReplicas), "refuse"),
    "PROTECT_TAG": ("protect_tag", text_up_to(128), "DoNotTerminate"),
    "MISSING_INSTANCE_POLICY": (
        "missing_instance_policy",
        one_of(MissingPolicy),
        "report_terminated",
    ),
    "MAX_TERMINATIONS_PER_RUN": ("max_terminations_per_run", _COUNT, "500"),
    "MAX_FLEET_PERCENT": ("max_fleet_percent", whole(1, 100), "100"),
    "ASG_MEMBERS": ("asg_members", one_of(AsgMembers), "refuse"),
    "REQUIRE_RUNNING_PEER": ("require_running_peer", boolean, "false"),
    "STUCK_AFTER_SECONDS": ("stuck_after_seconds", _SECONDS, "900"),
    "OVERDUE_AFTER_SECONDS": ("overdue_after_seconds", _SECONDS, "3600"),
    "BACKEND_CONCURRENCY": ("backend_concurrency", whole(1, 64), "8"),
    "IDEMPOTENCY_TABLE": ("idempotency_table", _NAME, None),
    "IDEMPOTENCY_WINDOW_SECONDS": ("idempotency_window_seconds", _SECONDS, "86400"),
    "EVENT_BUS_NAME": ("event_bus_name", _NAME, ""),
    "CLEANUP_SNAPSHOTS_OLDER_THAN_DAYS": ("snapshots_older_than_days", _DAYS, "7"),
    "CLEANUP_AMIS_OLDER_THAN_DAYS": ("amis_older_than_days", _DAYS, "30"),
    "KEEP_LATEST_AMIS": ("keep_latest_amis", whole(0, 1_000_000), "1"),
    "KEEP_LATEST_SNAPSHOTS": ("keep_latest_snapshots", whole(0, 1_000_000), "1"),
    "MAX_DELETIONS_PER_RUN": ("max_deletions_per_run", whole(1, 1000), "50"),
    "SCHEDULE_NAME": ("schedule_name", _SCHEDULE, ""),
    "POWERTOOLS_SERVICE_NAME": ("service_name", text_up_to(1024), "spot-cleanup"),
    "POWERTOOLS_METRICS_NAMESPACE": ("metrics_namespace", text_up_to(255), "SpotOptimizer"),
    "POWERTOOLS_LOG_LEVEL": ("log_level", capitals(*get_args(LogLevel)), "INFO"),
}
"""Of each variable: the attribute, how it is read, and its default as it would be written.

A default of None: it is required. An empty one: the attribute is None.
"""
ENVIRONMENT_VARIABLES = frozenset(VARIABLES)
"""Every variable that the function reads for itself; the AWS SDK reads its own."""


class Settings(NamedTuple):
    """What the environment and the event say, under the contract's names.

    `agents` are all of `AGENT_ID`, in its order; `acting` those that this run is for. A named
    tuple: a frozen dataclass of this many fields takes 1.2 ms longer to make, and so does reading
    annotations that are texts, as `from __future__` makes them.
    """

    region: str
    agents: tuple[Agent, ...]
    acting: tuple[Agent, ...]
    server_url: str
    token_parameter_pattern: str | None
    client_token: str | None
    backend_ca_parameter: str | None
    auto_terminate_enabled: bool
    dry_run: bool
    doctor: bool
    confirm_termination: bool
    required_tags: Tags
    untagged_replicas: UntaggedReplicas
    protect_tag: str
    missing_instance_policy: MissingPolicy
    max_terminations_per_run: int
    max_fleet_percent: int
    asg_members: AsgMembers
    require_running_peer: bool
    stuck_after_seconds: int
    overdue_after_seconds: int
    backend_concurrency: int
    idempotency_table: str
    idempotency_window_seconds: int
    event_bus_name: str | None
    snapshots_older_than_days: int
    amis_older_than_days: int
    keep_latest_amis: int
    keep_latest_snapshots: int
    max_deletions_per_run: int
    schedule_name: str | None
    service_name: str
    metrics_namespace: str
    log_level: LogLevel

    def __repr__(self) -> str:
        """Without the token."""
        shown_fields = self._asdict() | {"client_token": "..."}
        return f"Settings({', '.join(f'{name}={value!r}' for name, value in shown_fields.items())})"

    @property
    def agent_id(self) -> str:
        """The first acting agent's id."""
        return self.acting[0].agent_id

    def token_parameter(self, agent_id: str) -> str:
        """The name of the SSM parameter that holds this agent's token; empty if there is none."""
        return (self.token_parameter_pattern or "").replace("{agent_id}", agent_id)

    @classmethod
    def read(
        cls, environment: Mapping[str, str], event: object, *, doctor_allowed: bool = True
    ) -> Self:
        """Read the environment and the event; an empty variable counts as not set.

        The exception is `REQUIRED_TAGS`, where empty means "no check".

        Args:
            environment: the variables.
            event: what invoked the function.
            doctor_allowed: whether the event may ask for the doctor.

        Raises:
            SettingsError: names every variable that is missing or bad, and every bad key of the
                event, and what is wrong with it. EventError where the event is bad.
        """
        values, faults = _read_once(frozenset(environment.items()))
        wrong = _faults_of(event, values.get("agents"), doctor_allowed=doctor_allowed)
        said = [f"{len(faults)} bad variable(s) in the environment: {'; '.join(faults)}"]
        said = said * bool(faults) + wrong
        if said:
            raise (EventError if wrong else SettingsError)("; ".join(said))
        asked: Mapping[str, Any] = event if isinstance(event, dict) else {}
        only = asked.get("agent_id")
        of_this_run = {
            "acting": tuple(a for a in values["agents"] if only in {None, a.agent_id}),
            "dry_run": values["dry_run"] or asked.get("dry_run", False),
            "doctor": asked.get("doctor", False),
        }
        return cls(**{**values, **of_this_run})


@lru_cache(maxsize=1)
def _read_once(environment: frozenset[tuple[str, str]]) -> tuple[Mapping[str, Any], Sequence[str]]:
    """In Lambda the variables never change: an idle run does not read them anew."""
    return _read(dict(environment))


def _read(environment: Mapping[str, str]) -> tuple[dict[str, Any], list[str]]:
    """Every attribute that can be read, and what is wrong with the other variables."""
    values: dict[str, Any] = {}
    faults = []
    token = environment.get("CLIENT_TOKEN")
    for name, (attribute, read, default) in VARIABLES.items():
        text = environment.get(name)
        if not text and name == "AWS_REGION":
            text = environment.get("AWS_DEFAULT_REGION")
        if text is None or not (text or read is tags):
            text = default
        if text is None or (name == "CLIENT_TOKEN_PARAMETER" and not (text or token)):
            faults.append(f"{name}: missing")
            continue
        try:
            values[attribute] = read(text) if text or read is tags else None
        except ValueError as error:
            hidden = name in SECRET or (token and token in text)
            faults.append(f"{name}: {error}" + ("" if hidden else f" (it is {shown(text)})"))
    at_sam_host = str(values.get("server_url")).startswith(f"http://{SAM_HOST}")
    if at_sam_host and environment.get("AWS_SAM_LOCAL") != "true":
        faults.append(f"SERVER_URL: use https: plain http to {SAM_HOST} is for `sam local` only")
    return values, faults


def _faults_of(
    event: object, agents: tuple[Agent, ...] | None, *, doctor_allowed: bool
) -> list[str]:
    """What is wrong with the event: nothing, or one text. Without agents, none is looked for."""
    if not isinstance(event, dict):
        return [f"the event must be a JSON object, not {type(event).__name__}"]
    switches = ("dry_run", "doctor")[: 1 + doctor_allowed]
    ids = [agent.agent_id for agent in agents or ()]
    faults = []
    for key, value in event.items():
        if key in switches:
            if not isinstance(value, bool):
                faults.append(f"{key}: write true or false, unquoted (it is {shown(value)})")
        elif key == "agent_id":
            if value not in ids and not (agents is None and isinstance(value, str)):
                faults.append(f"agent_id: it is none of AGENT_ID's (it is {shown(value)})")
        elif key not in ENVELOPE:
            faults.append(f"{shown(key)}: not known; {', '.join(('agent_id', *switches))} are")
        elif key == "detail" and value not in ({}, "{}"):
            faults.append("detail: it must be empty, since nothing in it is read")
    if not faults:
        return []
    return [f"{len(faults)} bad key(s) in the event: {'; '.join(faults)}"]
