"""Examines what EC2 lets the function see and do: each call is made, with DryRun where it would act."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from handler.aws import error_codes
from handler.aws.errors import AwsError, ErrorKind
from handler.doctor.advice import allow, aws_failed
from handler.doctor.dependencies import Dependencies, examines
from handler.doctor.findings import Check, Finding, failed, ok, skipped
from handler.instances.rules import GROUP_TAG

if TYPE_CHECKING:
    from handler.instances.model import Instance

DESCRIBE = Check("ec2_describe", "Does EC2 show the function its instances?")
TERMINATE = Check("ec2_terminate", "Would EC2 terminate one of them for it?")
SPOT = Check("ec2_spot_requests", "Can Spot requests be cancelled that would bring one back?")
DECODE = "sts:DecodeAuthorizationMessage"
CODED = re.compile(r"Encoded authorization failure message: (\S+)")
TAG = re.compile(r"(?:aws|ec2):ResourceTag/(.+)")
SHOWN = 500
"""Characters of a reason in a form that is not known."""


@examines(DESCRIBE)
def describe(it: Dependencies) -> list[Finding]:
    """Without it runs leave everything alone."""
    tags = dict(it.settings.required_tags)
    running = it.look(lambda: it.machines.running(tags))
    if isinstance(running, AwsError):
        return [aws_failed(DESCRIBE, running, "ec2:DescribeInstances")]
    it.running = running
    bearing = f"bear {_written(tags)}" if tags else "run here"
    return [ok(DESCRIBE, f"{len(running)} running instances {bearing}")]


@examines(TERMINATE, needs=(DESCRIBE,))
def terminate(it: Dependencies) -> list[Finding]:
    """The original guide's cause 3. It needs an instance: IAM's conditions are on its tags."""
    protect_tag = it.settings.protect_tag
    marked = {one.instance_id for listing in it.listings.values() for one in listing.marked}
    tried = pick(it.running, protect_tag, marked)
    if tried is None:
        tags = _written(dict(it.settings.required_tags)) or "any tag"
        why = (
            f"no running instance bears {tags} without {protect_tag} and outside of "
            "Auto Scaling groups: there is none to try the permission on"
        )
        return [skipped(TERMINATE, why)]
    trial = Trial(
        TERMINATE,
        f"terminate {tried.instance_id}",
        "ec2:TerminateInstances",
        "The template allows it for instances with the tag ManagedBy of the first of RequiredTags "
        "and without DoNotTerminate: compare the instance's tags",
    )
    machines, ids = it.machines, [tried.instance_id]
    return [trial.judge(it, lambda: machines.terminate(ids, dry_run=True))]


@examines(SPOT, needs=(DESCRIBE,))
def spot_requests(it: Dependencies) -> list[Finding]:
    """Whether the requests that would bring an instance back can be cancelled before it ends."""
    machines = it.machines
    requests = [one.spot_request for one in it.running if one.spot_request]
    states = it.look(lambda: machines.standing_requests(requests))
    if isinstance(states, AwsError):
        return [aws_failed(SPOT, states, "ec2:DescribeSpotInstanceRequests")]
    known = {key: state for key, state in states.items() if not isinstance(state, AwsError)}
    standing = [key for key, state in known.items() if state is not None]
    if not standing and len(known) < len(states):
        found = f"EC2 does not tell of {len(states) - len(known)} of {len(states)} Spot requests"
        return [skipped(SPOT, found, "invoke it again: EC2 shows new requests late")]
    if not standing:
        none = f"none of {len(known)} Spot requests would launch another instance"
        return [ok(SPOT, none if requests else "no running instance comes from a Spot request")]
    request = min(standing)
    trial = Trial(
        SPOT,
        f"cancel {request}",
        "ec2:CancelSpotInstanceRequests",
        "The template allows it for requests that bear no other ManagedBy tag than the first of "
        "RequiredTags; until then instances from persistent requests are left alone",
    )
    return [trial.judge(it, lambda: machines.cancel_requests([request], dry_run=True))]


def pick(running: Sequence[Instance], protect_tag: str, marked: Collection[str]) -> Instance | None:
    """The instance to try on: one that the guards do not refuse, a marked one if there is one."""
    free = [one for one in running if protect_tag not in one.tags and GROUP_TAG not in one.tags]
    return next((one for one in free if one.instance_id in marked), free[0] if free else None)


@dataclass(frozen=True, slots=True)
class Trial:
    """A call with DryRun: `what` EC2 would do, and what the template `allows`."""

    check: Check
    what: str
    permission: str
    allows: str

    def judge(self, it: Dependencies, call: Callable[[], object]) -> Finding:
        """Make it: whether EC2 would do it, and the exact reason of a denial."""
        answer = it.look(call)
        if not isinstance(answer, AwsError):
            return ok(self.check, f"EC2's DryRun would {self.what}")
        if answer.kind is ErrorKind.MISSING:
            return skipped(self.check, f"{answer.code}: gone before EC2 was asked to {self.what}")
        if not answer.denied:
            return aws_failed(self.check, answer, self.permission)
        found = f"{answer.code}: EC2's DryRun would not {self.what}"
        cure = f"{allow(self.permission)}. {self.allows}"
        reason = it.look(lambda: decode(answer, it.client))
        if not isinstance(reason, AwsError):
            return failed(self.check, found, reason or answer.message, cure)
        return failed(
            self.check,
            found,
            f"{answer.message} (not decoded, since {DECODE} did not work: {reason.code})",
            f"{cure}; to see the exact reason, allow {DECODE} to the function's role, or decode "
            "the message with `aws sts decode-authorization-message` under a role that may",
        )


def decode(error: AwsError, client: Callable[[str], Any]) -> str | AwsError | None:
    """Who was denied what on which resource, and by what; None where EC2 gives no coded reason."""
    coded = CODED.search(error.message)
    if coded is None:
        return None
    try:
        answer = client("sts").decode_authorization_message(EncodedMessage=coded[1])
    except error_codes.SDK_ERRORS as failure:
        return error_codes.read(failure)
    if error_codes.lacks(answer, "DecodedMessage"):
        return error_codes.NOT_AWS
    return say(answer["DecodedMessage"])


def say(text: str) -> str:
    """The decoded reason (STS API, DecodeAuthorizationMessage) as a sentence; an unknown form as it is."""
    try:
        decoded = json.loads(text)
        context = decoded["context"]
        who = context.get("principal", {}).get("arn", "the caller")
        what = f"{context['action']} on {context.get('resource', '*')}"
        if decoded.get("explicitDeny"):
            ids = [
                str(one.get("statementId") or "?") for one in _items(decoded, "matchedStatements")
            ]
            said = f"{who} is denied {what} by the statement {', '.join(ids)}"
        else:
            said = f"no policy of {who} allows {what}"
        tags = ", ".join(
            f"{tag[1]}={''.join(str(value['value']) for value in _items(one, 'values')[:1])}"
            for one in _items(context, "conditions")
            if (tag := TAG.fullmatch(str(one.get("key"))))
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        return text[:SHOWN]
    return f"{said}; the instance's tags as IAM saw them: {tags or 'none'}"


def _items(holder: Mapping[str, Any], key: str) -> list[Mapping[str, Any]]:
    return list((holder.get(key) or {}).get("items") or [])


def _written(tags: Mapping[str, str]) -> str:
    return ",".join(f"{key}={value}" for key, value in tags.items())
