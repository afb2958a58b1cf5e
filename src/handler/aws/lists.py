"""Reads AWS's lists to their end: an answer without its field is a failed look-up, not an empty list.

Paging and tries are botocore's: with `standard` retries only the page that failed is asked for again.
"""

from __future__ import annotations

from typing import Any

from handler.aws import error_codes
from handler.aws.errors import AwsError

MANAGED_TOO = "IncludeManagedResources"
"""Without it EC2's lists leave out what another AWS service manages (EC2 API, since April 2026)."""


def read_all(
    client: Any,  # noqa: ANN401 - boto3 makes the class at run time
    operation: str,
    key: str,
    **given: object,
) -> list[dict[str, Any]] | AwsError:
    """Every page's items under `key`, or the error: half a list would make used things look free."""
    items: list[dict[str, Any]] = []
    try:
        pages = (
            client.get_paginator(operation).paginate(**given)
            if client.can_paginate(operation)
            else [getattr(client, operation)(**given)]
        )
        for page in pages:
            if error_codes.lacks(page, key):
                return error_codes.NOT_AWS
            items += page[key]
    except error_codes.SDK_ERRORS as error:
        return error_codes.read(error)
    return items


def managed_too(client: Any, operation: str) -> dict[str, bool]:  # noqa: ANN401 - as above
    """The parameter that shows managed resources, where the SDK knows it: the runtime's may not."""
    shape = client.meta.service_model.operation_model(operation).input_shape
    return {MANAGED_TOO: True} if shape is not None and MANAGED_TOO in shape.members else {}
