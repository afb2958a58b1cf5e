"""How the SDK's clients are made: with time limits, bounded retries, and nothing sent late."""

from __future__ import annotations

from typing import Any, NamedTuple
from urllib.parse import urlencode

import boto3
import botocore.session
from botocore.config import Config

from handler import PRODUCT
from handler.aws.reading import refuse_unreadable
from handler.aws.sending import refuse_what_is_late
from handler.aws.service_models import use_own_models
from handler.aws.timestamps import read_timestamps

LOOK_UP_TRIES = 5
"""How often botocore makes a look-up at most; it changes nothing."""


class Limits(NamedTuple):
    """What one client may take.

    Attributes:
        read_timeout: seconds for an answer.
        tries: how often botocore makes a call at most. What destroys is tried once: a call that the run
            no longer waits for must not be made again behind its back; `retry.py` does it.
        pool: connections that are kept.
        checked: whether botocore checks parameters before it sends them.
    """

    read_timeout: float = 10
    tries: int = LOOK_UP_TRIES
    pool: int = 10
    checked: bool = True


def aws_session(region: str) -> boto3.session.Session:
    """The boto3 session."""
    refuse_what_is_late()
    core = botocore.session.get_session()
    use_own_models(core)
    core.register("request-created.ec2", _encode_once)
    refuse_unreadable(core)
    read_timestamps(core)
    return boto3.session.Session(botocore_session=core, region_name=region)


def _encode_once(**given: Any) -> None:  # noqa: ANN401 - as botocore calls its handlers
    """Botocore encodes a body of parameters anew wherever it looks at it: four times for hundreds of ids."""
    request = given["request"]
    if isinstance(request.data, dict):
        request.data = urlencode(request.data)


def aws_client(session: boto3.session.Session, service: str, limits: Limits) -> Any:  # noqa: ANN401 - made at run time
    """A client with botocore's `standard` retries.

    Not `adaptive`: that slows every call of the client down after one throttle, for as long as it likes.
    """
    return session.client(  # type: ignore[call-overload] # boto3's stubs know names only as literals
        service,
        config=Config(
            connect_timeout=3,
            read_timeout=limits.read_timeout,
            max_pool_connections=limits.pool,
            retries={"mode": "standard", "total_max_attempts": limits.tries},
            parameter_validation=limits.checked,
            user_agent_extra=PRODUCT,
        ),
    )
