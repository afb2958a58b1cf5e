"""The backend's list, as bytes (contract section 1 and its quirks)."""

from __future__ import annotations

import json
from typing import Any

import pytest

from handler.backend.errors import BackendError
from handler.backend.wire import SHOWN, is_acknowledged, read_listing
from handler.instances.model import Listing, Marked
from tests.fakes.build import iid

LONG = "i-1234567890abcdef0"


def body(*instances: Any, **fields: Any) -> bytes:
    envelope = {
        "instances": list(instances),
        "auto_terminate_enabled": True,
        "terminate_wait_seconds": 300,
    }
    return json.dumps(envelope | fields).encode()


def entry(**fields: Any) -> dict[str, Any]:
    return {"instance_id": LONG} | fields


def only(listing: Listing) -> Marked:
    assert listing.invalid == ()
    (one,) = listing.marked
    return one


def why(**fields: Any) -> str:
    listing = read_listing(body(entry(**fields)))
    assert listing.marked == ()
    (one,) = listing.invalid
    return one.why


def test_the_contract_s_zombie_is_read() -> None:
    raw = entry(
        instance_type="c5.large", az="us-east-1a", reason="zombie_timeout", seconds_waiting=320
    )
    assert only(read_listing(body(raw))) == Marked(LONG, "zombie_timeout", "us-east-1a", 320.0)


def test_the_contract_s_replica_is_read() -> None:
    raw = entry(
        instance_type="c5.large",
        az="us-east-1b",
        reason="replica_terminated",
        seconds_since_marked=5,
    )
    assert only(read_listing(body(raw))) == Marked(LONG, "replica_terminated", "us-east-1b", 5.0)


@pytest.mark.parametrize("good", [LONG, "i-12345678", "i-00000000", "i-0123456789abcdef0"])
def test_both_lengths_of_ids_are_read(good: str) -> None:
    assert only(read_listing(body(entry(instance_id=good)))).instance_id == good


@pytest.mark.parametrize(
    "bad",
    [
        "", "i-", "i-1234567", "i-123456789", "i-1234567890abcdef", "i-1234567890abcdef01",
        "i-1234567890ABCDEF0", "I-1234567890abcdef0", "i-1234567890abcdeg0", "mi-12345678",
        "sir-12345678", " i-12345678", "i-12345678 ", "i-12345678\n", "i-12345678,i-12345679",
        "i-\u0661\u0662\u0663\u0664\u0665\u0666\u0667\u0668", "*", "i-1234567?",
        None, 5, True, ["i-12345678"], {"instance_id": "i-12345678"},
    ],
)  # fmt: skip
def test_an_id_that_is_no_ec2_id_is_invalid(bad: Any) -> None:
    """Quirk 6; a wildcard or a list in an id would reach further than one instance."""
    assert why(instance_id=bad).startswith("instance_id: ")


def test_an_entry_without_an_id_is_invalid() -> None:
    listing = read_listing(body({"reason": "zombie_timeout"}))
    assert [one.why for one in listing.invalid] == ["instance_id: Field required"]


@pytest.mark.parametrize("raw", [None, 5, "i-12345678", True, [], [LONG], 1.5])
def test_an_entry_that_is_no_object_is_invalid(raw: Any) -> None:
    listing = read_listing(body(raw, entry()))
    assert len(listing.invalid) == 1
    assert [one.instance_id for one in listing.marked] == [LONG]


def test_null_and_unknown_fields_are_taken() -> None:
    """Quirk 6."""
    raw = entry(
        instance_type=None,
        az=None,
        reason=None,
        seconds_waiting=None,
        seconds_since_marked=None,
        extra={"deep": [1]},
    )
    assert only(read_listing(body(raw))) == Marked(LONG, "unknown", None, None)


def test_an_instance_type_of_any_kind_is_of_no_interest() -> None:
    assert only(read_listing(body(entry(instance_type=5)))).instance_id == LONG


@pytest.mark.parametrize(("given", "zone"), [("", None), ("us-east-1a", "us-east-1a"), ("?", "?")])
def test_the_zone_is_taken_as_it_is(given: str, zone: str | None) -> None:
    assert only(read_listing(body(entry(az=given)))).zone == zone


@pytest.mark.parametrize("field", ["az", "reason"])
@pytest.mark.parametrize("bad", [5, True, [], {}])
def test_a_text_that_is_none_is_invalid(field: str, bad: Any) -> None:
    assert why(**{field: bad}).startswith(f"{field}: ")


def test_an_empty_reason_is_unknown() -> None:
    assert only(read_listing(body(entry(reason="")))).reason == "unknown"


def test_a_long_reason_is_cut() -> None:
    assert len(only(read_listing(body(entry(reason="x" * 10_000)))).reason) == SHOWN


@pytest.mark.parametrize("field", ["seconds_waiting", "seconds_since_marked"])
@pytest.mark.parametrize(
    ("given", "waited"),
    [(320, 320.0), (0, 0.0), (1.5, 1.5), ("320", 320.0), (-5, 0.0), (10**15, 1e15), (1e300, 1e300)],
)
def test_seconds_are_read_from_either_field(field: str, given: Any, waited: float) -> None:
    assert only(read_listing(body(entry(**{field: given})))).waited == waited


def test_the_waiting_time_goes_before_the_time_since_marking() -> None:
    raw = entry(seconds_waiting=0, seconds_since_marked=9)
    assert only(read_listing(body(raw))).waited == 0.0


@pytest.mark.parametrize("field", ["seconds_waiting", "seconds_since_marked"])
@pytest.mark.parametrize("bad", ["soon", [], {}, "NaN", "inf"])
def test_seconds_that_are_no_number_make_the_entry_invalid(field: str, bad: Any) -> None:
    assert why(**{field: bad}).startswith(f"{field}: ")


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e400", "1" + "0" * 400])
def test_numbers_that_no_float_holds_make_their_entry_invalid(number: str) -> None:
    text = body(entry(seconds_waiting="NUMBER"), entry(instance_id=iid(2)))
    listing = read_listing(text.replace(b'"NUMBER"', number.encode()))
    assert [one.instance_id for one in listing.marked] == [iid(2)]
    assert [one.why for one in listing.invalid]


def test_a_second_entry_for_an_id_is_invalid_and_the_first_holds() -> None:
    """Contract section 2: "A second entry for an id that the list already had is `invalid`"."""
    first, second = entry(reason="zombie_timeout"), entry(reason="replica_terminated")
    listing = read_listing(body(first, second, second))
    assert [one.reason for one in listing.marked] == ["zombie_timeout"]
    assert [(one.shown, one.why) for one in listing.invalid] == [
        (LONG, "listed twice: the first entry holds")
    ] * 2


def test_a_bad_first_entry_leaves_its_id_to_a_good_second() -> None:
    listing = read_listing(body(entry(seconds_waiting="soon"), entry(seconds_waiting=5)))
    assert [one.waited for one in listing.marked] == [5.0]
    assert len(listing.invalid) == 1


def test_an_invalid_entry_is_shown_in_part() -> None:
    listing = read_listing(body({"instance_id": "x" * 10_000}))
    assert len(listing.invalid[0].shown) == SHOWN


def test_every_fault_of_an_entry_is_told() -> None:
    assert {part.split(":")[0] for part in why(instance_id="x", az=5).split("; ")} == {
        "instance_id",
        "az",
    }


@pytest.mark.parametrize(("given", "read"), [(True, True), (False, False), (1, True), (0, False)])
def test_the_switch_may_be_a_boolean_or_a_bit(given: Any, *, read: bool) -> None:
    """Quirk 2."""
    assert read_listing(body(auto_terminate_enabled=given)).auto_terminate_enabled is read


@pytest.mark.parametrize("bad", [None, "true", "1", "", 2, -1, 0.5, [], {}, [True]])
def test_a_switch_that_is_no_boolean_stops_the_run(bad: Any) -> None:
    with pytest.raises(BackendError, match="auto_terminate_enabled"):
        read_listing(body(auto_terminate_enabled=bad))


@pytest.mark.parametrize("bad", [None, {}, "[]", 5, True, {"0": entry()}])
def test_instances_that_are_no_list_stop_the_run(bad: Any) -> None:
    with pytest.raises(BackendError, match="instances"):
        read_listing(body(instances=bad))


@pytest.mark.parametrize("field", ["instances", "auto_terminate_enabled"])
def test_a_missing_field_of_the_envelope_stops_the_run(field: str) -> None:
    envelope = json.loads(body())
    del envelope[field]
    with pytest.raises(BackendError, match=field):
        read_listing(json.dumps(envelope).encode())


@pytest.mark.parametrize(
    "text",
    [
        b"", b" ", b"<html><body>502 Bad Gateway</body></html>", b"null", b"[]", b"5", b'"x"',
        b"true", b"\xff\xfe\x00", b"\x00", b'{"instances": [', b"{}}", b"[" * 100_000,
        b'{"instances":' * 5_000, b'{"instances": ["\\ud800"], "auto_terminate_enabled": true}',
        b'{"instances": ["\xff"], "auto_terminate_enabled": true}', b"1" + b"0" * 5_000,
    ],
    ids=lambda text: repr(text[:24]),
)  # fmt: skip
def test_what_is_not_the_agreed_json_stops_the_run_with_its_name(text: bytes) -> None:
    with pytest.raises(BackendError) as caught:
        read_listing(text)
    assert len(str(caught.value)) < 400


def test_a_deep_entry_is_invalid_and_the_others_hold() -> None:
    deep = json.loads("[" * 150 + "]" * 150)
    listing = read_listing(body(deep, entry()))
    assert (len(listing.marked), len(listing.invalid)) == (1, 1)


def test_an_empty_list_is_a_list() -> None:
    assert read_listing(body()) == Listing((), (), True)


def test_a_long_list_is_read_whole() -> None:
    listing = read_listing(body(*({"instance_id": iid(n)} for n in range(5_000))))
    assert [one.instance_id for one in listing.marked] == [iid(n) for n in range(5_000)]


@pytest.mark.parametrize("answer", [b'{"success": true}', b'{"success":1, "message": "x"}'])
def test_an_acknowledgement_says_success(answer: bytes) -> None:
    assert is_acknowledged(answer)


@pytest.mark.parametrize(
    "answer",
    [
        b"", b"{}", b"null", b"true", b"[]", b"<html>ok</html>", b'{"success": false}',
        b'{"success": 0}', b'{"success": "true"}', b'{"success": null}', b'{"success": 2}',
        b'{"success": [true]}', b'{"success": true', b"\xff", b"[" * 10_000, b'{"Success": true}',
    ],
    ids=lambda answer: repr(answer[:24]),
)  # fmt: skip
def test_anything_else_acknowledges_nothing(answer: bytes) -> None:
    assert not is_acknowledged(answer)
