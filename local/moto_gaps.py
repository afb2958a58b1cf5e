"""What moto lacks of the AWS that housekeeping looks at, added to moto in this process."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import Any

from moto.core.responses import ActionResult
from moto.ec2.exceptions import EC2ClientError
from moto.ec2.responses import EC2Response
from moto.moto_server.werkzeug_app import DomainDispatcherApplication

WsgiApp = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


def fill() -> None:
    """Add them; twice does no harm."""
    # Nor does it begin with its 1,300 public images and their snapshots, which each look would read.
    os.environ.setdefault("MOTO_EC2_LOAD_DEFAULT_AMIS", "false")
    _patch(EC2Response, "describe_locked_snapshots", _no_locks)
    _patch(EC2Response, "describe_fast_snapshot_restores", _no_fast_restores)
    _patch(EC2Response, "describe_image_references", _no_such_call)
    if not getattr(DomainDispatcherApplication.__call__, "knows_rbin", False):
        real = DomainDispatcherApplication.__call__
        _patch(DomainDispatcherApplication, "__call__", _with_recycle_bin(real))


def _patch(kind: type, name: str, method: Callable[..., object]) -> None:
    setattr(kind, name, method)


def _no_locks(_: EC2Response) -> ActionResult:
    return ActionResult({"Snapshots": []})


def _no_fast_restores(_: EC2Response) -> ActionResult:
    return ActionResult({"FastSnapshotRestores": []})


def _no_such_call(_: EC2Response) -> ActionResult:
    """As a region answers that does not have the operation yet."""
    raise EC2ClientError("InvalidAction", "The action DescribeImageReferences is not valid.")


def _with_recycle_bin(real: Callable[..., Iterable[bytes]]) -> Callable[..., Iterable[bytes]]:
    """A Recycle Bin without rules, in front of moto's services."""

    def call(
        self: DomainDispatcherApplication,
        environ: dict[str, Any],
        start_response: Callable[..., Any],
    ) -> Iterable[bytes]:
        if "/rbin/aws4_request" not in environ.get("HTTP_AUTHORIZATION", ""):
            return real(self, environ, start_response)
        start_response("200 OK", [("Content-Type", "application/json")])
        return [b'{"Rules": []}']

    call.knows_rbin = True  # type: ignore[attr-defined] # marks what is patched already
    return call
