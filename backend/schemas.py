"""The bodies on the wire (contract section 1), read strictly but ready for unknown fields."""

from datetime import UTC, datetime
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, Field, StrictBool


def _moment(value: object) -> object:
    if value is None:
        return None
    if not isinstance(value, str):
        raise ValueError("must be an ISO 8601 time")  # noqa: TRY004  # pydantic wants a ValueError
    try:
        moment = datetime.fromisoformat(value)
        utc_naive(moment)
    except (ValueError, OverflowError):
        raise ValueError("must be an ISO 8601 time") from None
    return moment


def utc_naive(moment: datetime) -> datetime:
    """The moment as the database keeps it; one without a zone is UTC already."""
    return moment if moment.tzinfo is None else moment.astimezone(UTC).replace(tzinfo=None)


#: A time with ``Z``, with an offset, or without a zone. The zone is kept, for quirk 1.
Moment = Annotated[datetime, BeforeValidator(_moment)]
InstanceId = Annotated[str, Field(min_length=1, max_length=64)]
Short = Annotated[str, Field(min_length=1, max_length=32)]


class TerminationReport(BaseModel):
    """One instance's termination report."""

    instance_id: InstanceId
    success: StrictBool
    error: str | None = None
    terminated_at: Moment | None = None


class Failure(BaseModel):
    """What could not be deleted, and why."""

    id: str
    error: str


class SnapshotCleanup(BaseModel):
    """The snapshots' part of a cleanup report."""

    type: Literal["snapshots"] = "snapshots"
    deleted: list[str] = []
    failed: list[Failure] = []
    cutoff_date: Moment | None = None


class AmiCleanup(BaseModel):
    """The images' part of a cleanup report."""

    type: Literal["amis"] = "amis"
    deleted_amis: list[str] = []
    deleted_snapshots: list[str] = []
    failed: list[Failure] = []
    cutoff_date: Moment | None = None


class CleanupReport(BaseModel):
    """A cleanup report; a part that was not cleaned may be left out."""

    timestamp: Moment
    snapshots: SnapshotCleanup = SnapshotCleanup()
    amis: AmiCleanup = AmiCleanup()


class NewClient(BaseModel):
    """A client to create."""

    name: Annotated[str, Field(min_length=1, max_length=255)]


class ClientChange(BaseModel):
    """What an operator may change about a client."""

    is_active: StrictBool


class NewAgent(BaseModel):
    """An agent to create; without an id it gets one."""

    client_id: InstanceId
    region: Short
    agent_id: Annotated[str, Field(min_length=1, max_length=64)] | None = None


class AgentChange(BaseModel):
    """What an operator may change about an agent; what is left out stays."""

    auto_terminate_enabled: StrictBool | None = None
    terminate_wait_seconds: Annotated[int, Field(ge=0)] | None = None


class NewInstance(BaseModel):
    """An EC2 instance to register, as a primary or as a replica."""

    instance_id: InstanceId
    instance_type: Short | None = None
    az: Short | None = None


class NewZombies(BaseModel):
    """Many zombies at once, all marked ``age_seconds`` ago."""

    instance_ids: list[InstanceId]
    instance_type: Short | None = None
    az: Short | None = None
    age_seconds: Annotated[float, Field(ge=0)] = 0.0


class Ageing(BaseModel):
    """How many seconds shall seem to have passed for an agent's rows, or for one instance's."""

    seconds: Annotated[float, Field(ge=0)]
    instance_id: InstanceId | None = None
