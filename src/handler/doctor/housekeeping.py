"""Examines what housekeeping could not look at: it may stand still for ever because of one reference."""

from __future__ import annotations

from handler.aws.errors import AwsError
from handler.aws.unseen_note import KEY, UnseenNote
from handler.doctor.advice import aws_failed
from handler.doctor.dependencies import Dependencies, examines
from handler.doctor.findings import Check, Finding, ok, warning
from handler.doctor.table import TABLE

REFERENCES = Check("housekeeping_references", "Could housekeeping look at all that may use an AMI?")
SHOWN = 3


@examines(REFERENCES, needs=(TABLE,))
def examine(it: Dependencies) -> list[Finding]:
    """By the note of its last runs: it is another function, with a role of its own."""
    note = UnseenNote(lambda: it.client("dynamodb"), it.settings.idempotency_table)
    found = it.look(lambda: note.read(it.clock()))
    if isinstance(found, AwsError):
        return [aws_failed(REFERENCES, found, f"dynamodb:GetItem on the item {KEY}")]
    count, told = found
    if not count:
        return [ok(REFERENCES, "its last runs noted nothing that they could not look at")]
    more = f"; and {count - SHOWN} more" if count > SHOWN else ""
    return [
        warning(
            REFERENCES,
            f"{count} could not be looked at: {'; '.join(told[:SHOWN])}{more}",
            "what these may refer to is kept as unproven, run after run",
            "do what stands behind each; where it is a look-up that was denied, allow it to the role "
            "of the housekeeping function, as the template does (docs/housekeeping.md)",
        )
    ]
