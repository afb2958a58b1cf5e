"""The last moment before a call leaves: one whose run is over is not sent any more.

A call that hangs in name resolution or in connecting outlives its run: Lambda freezes the process
and lets it go on with the next run, a minute or an hour later, when its instance may no longer be
marked. So the connection itself asks once more, after it is made and before a byte of the request
goes over it. What remains: the process may be frozen between that question and the sending.
"""

from __future__ import annotations

from typing import Any

from botocore.awsrequest import (
    AWSHTTPConnection,
    AWSHTTPConnectionPool,
    AWSHTTPSConnection,
    AWSHTTPSConnectionPool,
)
from botocore.exceptions import HTTPClientError

from handler.deadline import may_still_act


class RunOverError(HTTPClientError):
    """Nothing was sent: the run that wanted it is over."""

    fmt = "the run was over before the request was sent"


def refuse_what_is_late() -> None:
    """Have botocore's connections refuse it: `ConnectionCls` is urllib3's own way to give a pool others."""
    AWSHTTPConnectionPool.ConnectionCls = _Timely
    AWSHTTPSConnectionPool.ConnectionCls = _TimelyTls


def _refuse_late(connection: Any) -> None:  # noqa: ANN401 - both kinds of botocore's connections
    if not may_still_act():
        connection.close()
        raise RunOverError


class _Timely(AWSHTTPConnection):
    def connect(self) -> None:
        super().connect()
        _refuse_late(self)

    def request(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - urllib3's signature
        _refuse_late(self)
        return super().request(*args, **kwargs)


class _TimelyTls(AWSHTTPSConnection):
    def connect(self) -> None:
        super().connect()
        _refuse_late(self)

    def request(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - urllib3's signature
        _refuse_late(self)
        return super().request(*args, **kwargs)
