"""What the doctor makes of housekeeping's note."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, cast

import pytest
from botocore.exceptions import ClientError

from handler.aws.errors import AwsError
from handler.aws.unseen_note import LONGEST, MOST, TRUE_FOR, UnseenNote
from handler.doctor.dependencies import Dependencies
from handler.doctor.findings import Finding, Status
from handler.doctor.housekeeping import REFERENCES, examine

NOW = datetime(2025, 11, 25, 12, 30, tzinfo=UTC)
ALIAS = (
    "SSM parameter /team/golden of launch template lt-1 version 2 (AccessDeniedException): let it"
)


class Table:
    """DynamoDB with one item."""

    def __init__(self, item: dict[str, Any] | None = None, refusal: str = "") -> None:
        self.item, self.refusal = item, refusal

    def put_item(self, *, Item: dict[str, Any], **_: object) -> dict[str, Any]:  # noqa: N803 - boto3's
        self._refuse()
        self.item = Item
        return {}

    def get_item(self, **_: object) -> dict[str, Any]:
        self._refuse()
        return {"Item": self.item} if self.item else {}

    def _refuse(self) -> None:
        if self.refusal:
            raise ClientError({"Error": {"Code": self.refusal}}, "GetItem")


def note(table: Table) -> UnseenNote:
    return UnseenNote(lambda: cast("Any", table), "t")


def examined(table: Table, now: datetime = NOW) -> Finding:
    it = SimpleNamespace(
        client=lambda _: table,
        settings=SimpleNamespace(idempotency_table="t"),
        look=lambda call: call(),
        clock=lambda: now,
    )
    (finding,) = examine.examine(cast("Dependencies", it))
    assert finding.check is REFERENCES
    return finding


def test_an_unreadable_alias_is_named_with_its_template_and_cure() -> None:
    table = Table()
    assert note(table).leave([ALIAS, "b", "c", "d", "e"], NOW) is None
    finding = examined(table, NOW + timedelta(hours=1))
    assert finding.status is Status.WARNING
    assert finding.found == f"5 could not be looked at: {ALIAS}; b; c; and 2 more"


@pytest.mark.parametrize(
    "item",
    [
        None,
        {},
        {"at": {"N": "x"}},
        {"at": {"N": str(int(NOW.timestamp()))}, "unseen": {"S": "[1]"}},
        {"at": {"N": "9" * 30}, "unseen": {"S": "{}"}},
    ],
)
def test_no_note_and_one_that_is_none_say_nothing(item: dict[str, Any] | None) -> None:
    assert examined(Table(item)).status is Status.OK


def test_an_old_note_is_not_told() -> None:
    table = Table()
    note(table).leave([ALIAS], NOW)
    assert table.item is not None
    assert table.item["expiration"] == {"N": str(int((NOW + TRUE_FOR).timestamp()))}
    assert examined(table, NOW + TRUE_FOR + timedelta(seconds=1)).status is Status.OK


def test_a_note_stays_small() -> None:
    table = Table()
    note(table).leave(["x" * 5000] * 500, NOW)
    assert table.item is not None
    assert len(table.item["unseen"]["S"]) < MOST * (LONGEST + 10)
    assert note(table).read(NOW) == (500, ["x" * LONGEST] * MOST)


def test_a_table_that_is_down_is_told() -> None:
    table = Table(refusal="AccessDeniedException")
    assert isinstance(note(table).leave(["a"], NOW), AwsError)
    finding = examined(table)
    assert finding.status is Status.FAILED
    assert "dynamodb:GetItem on the item unseen-references" in finding.cause
