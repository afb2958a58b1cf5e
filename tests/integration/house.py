"""An account full of images and snapshots, of which it is known which may go."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from handler.housekeeping import lambda_handler
from local.invoke import Invocation, invoke
from tests.integration.world import MANAGED, World
from tools.ec2_emulator.library import Library
from tools.ec2_emulator.spot import SpotRequest

TIMEOUT = 300.0
"""Seconds; the template's own."""
OLD = {"age_days": 60, "tags": MANAGED}


@dataclass
class House:
    """The world of one test, as housekeeping sees it."""

    world: World

    @property
    def library(self) -> Library:
        return self.world.aws.library

    def run(self, **variables: str) -> Invocation:
        return invoke(lambda_handler, self.world.environment(**variables), timeout=TIMEOUT)

    def returned(self, **variables: str) -> dict[str, Any]:
        return self.run(**variables).returned

    def image(self, **given: Any) -> str:
        """An old image of ours that nothing uses, but for what is given."""
        return self.library.add_image(**{**OLD, **given})

    def snapshot(self, **given: Any) -> str:
        """An old snapshot of ours whose volume is gone, but for what is given."""
        return self.library.add_snapshot(**{**OLD, "volume_id": "vol-0gone", **given})

    def attempted(self) -> set[str]:
        """What EC2 was asked to delete, whatever it answered: its own walls are not ours to lean on."""
        calls = self.world.aws.calls
        return {
            *(call.parameters["ImageId"] for call in calls.of("DeregisterImage")),
            *(call.parameters["SnapshotId"] for call in calls.of("DeleteSnapshot")),
        }

    def lose(self, *calls: str) -> None:
        """The backend answers these calls, by the last part of their path, with an error; none: all is well."""
        self.world.wiretap.intercept = lambda asked: (
            (400, {"error": "not now"}) if asked.call in calls else None
        )

    def reports(self) -> list[dict[str, Any]]:
        """What the backend has recorded of the agent's runs, the oldest first."""
        logs: list[dict[str, Any]] = self.world.operator.cleanup_logs(self.world.agent_id)
        return [one["details"] for one in reversed(logs)]

    def deleted_by_reports(self) -> list[str]:
        """What they call deleted, images first, then free snapshots, then images' own: each as often as it is told."""
        reports = self.reports()
        return [
            *(one for report in reports for one in report["amis"]["deleted_amis"]),
            *(one for report in reports for one in report["snapshots"]["deleted"]),
            *(one for report in reports for one in report["amis"]["deleted_snapshots"]),
        ]


@dataclass
class Estate:
    """A realistic estate: what goes, and for every way to stay, what stays by it."""

    house: House
    images: int
    snapshots: int
    seed: int = 0
    goes: set[str] = field(default_factory=set)
    stays: dict[str, set[str]] = field(default_factory=dict)

    def build(self, going_images: int, going_snapshots: int) -> None:
        """Fill the account, in an order that says nothing."""
        house, each = self.house, max(1, self.images // 100)
        for _ in range(going_images):
            image = house.image(age_days=90)
            self.goes |= {image, *house.library.images[image].snapshots}
        self.goes |= {house.snapshot(age_days=80) for _ in range(going_snapshots)}
        for way, make in WAYS.items():
            self.stays[way] = {one for _ in range(each) for one in make(house)}
        for _ in range(self.images - len(house.library.images)):
            house.image(tags={"Team": "else"})
        volumes = [f"vol-{number:017x}" for number in range(self.snapshots // 4)]
        house.library.volumes |= set(volumes)
        for number in range(self.snapshots - len(house.library.snapshots)):
            ours = number % 3 == 0  # of each living volume one of ours, and others' older ones
            tags = MANAGED if ours and number < len(volumes) else {"Team": "else"}
            house.snapshot(tags=tags, volume_id=volumes[number % len(volumes)])
        self._shuffle()

    def gone(self) -> set[str]:
        return {*self.house.library.deregistered, *self.house.library.deleted}

    def _shuffle(self) -> None:
        order = random.Random(self.seed)
        for shelf in (self.house.library.images, self.house.library.snapshots):
            sequences = list(range(len(shelf)))
            order.shuffle(sequences)
            for item, sequence in zip(shelf.values(), sequences, strict=True):
                item.sequence = sequence  # type: ignore[attr-defined] # both have one


def _used(use: Callable[[House, str], object]) -> Callable[[House], list[str]]:
    def make(house: House) -> list[str]:
        image = house.image()
        use(house, image)
        return [image, *house.library.images[image].snapshots]

    return make


def _named(house: House, kind: str) -> str:
    return f"{kind}-{len(house.library.images)}"


def _in_an_older_version(house: House, image: str) -> None:
    house.library.add_template([{"ImageId": image}, {"ImageId": "ami-0123456789abcdef0"}])


def _by_a_pinned_alias(house: House, image: str) -> None:
    name = _named(house, "/golden") + ":3"
    house.library.add_template([{"ImageId": f"resolve:ssm:{name}"}])
    house.library.parameters[name] = ("SecureString", image)  # seen by its name only


def _by_a_hidden_instance(house: House, image: str) -> None:
    house.world.launch(image_id=image, operator="eks.amazonaws.com")


def _by_a_hidden_template(house: House, image: str) -> None:
    house.library.hidden.add(house.library.add_template([{"ImageId": image}]))


def _by_a_spot_request(house: House, image: str) -> None:
    request = SpotRequest(f"sir-{len(house.world.aws.fleet.requests):08x}", "persistent", {}, 0.0)
    request.state, request.image_id = "open", image
    house.world.aws.fleet.requests[request.id] = request


def _by_a_fleet(*, spot: bool) -> Callable[[House, str], None]:
    def use(house: House, image: str) -> None:
        house.library.fleet_images[house.world.aws.fleet.create_fleet(spot=spot)] = image

    return use


def _being_copied(house: House, image: str) -> None:
    house.library.add_image(snapshots=[], state="pending", source=image)


def _snapshot_being_copied(house: House) -> list[str]:
    source = house.snapshot()
    house.snapshot(state="pending", description=f"[Copied {source} from us-east-1]")
    return [source]


def _restored_at_once(house: House) -> list[str]:
    snapshot = house.snapshot()
    house.library.restores[snapshot] = "enabled"
    return [snapshot]


def _shared(*permissions: dict[str, str]) -> Callable[[House], list[str]]:
    def make(house: House) -> list[str]:
        image = house.image()
        house.library.images[image].permissions = list(permissions)
        return [image, *house.library.images[image].snapshots]

    return make


def _shared_snapshot(house: House) -> list[str]:
    snapshot, part = house.snapshot(), house.snapshot()
    image = house.image(snapshots=[part], tags={"Team": "else"})  # it stays, and holds its part
    for one in (snapshot, part):
        house.library.snapshots[one].permissions = [{"UserId": "210987654321"}]
    return [snapshot, part, image]


def _latest_of_its_source(house: House) -> list[str]:
    tags = {**MANAGED, "SourceInstance": _named(house, "i")}
    return [house.image(tags=tags)]


def _locked(house: House) -> list[str]:
    snapshot = house.snapshot()
    house.library.locks[snapshot] = "governance"
    return [snapshot]


def _shared_with_others(house: House) -> list[str]:
    image = house.image(tags={"Team": "else"}, snapshot_tags=MANAGED)
    return [image, *house.library.images[image].snapshots]


def _mapped_by_a_template(house: House) -> list[str]:
    snapshot = house.snapshot()
    mapping = {"DeviceName": "/dev/sdb", "Ebs": {"SnapshotId": snapshot}}
    house.library.add_template([{"BlockDeviceMappings": [mapping]}])
    return [snapshot]


WAYS: dict[str, Callable[[House], list[str]]] = {
    "live instance": _used(lambda house, image: house.world.launch(image_id=image)),
    "stopped instance": _used(
        lambda house, image: house.world.launch(image_id=image, state="stopped")
    ),
    "launch template": _used(lambda house, image: house.library.add_template([{"ImageId": image}])),
    "older template version": _used(_in_an_older_version),
    "template by a pinned alias": _used(_by_a_pinned_alias),
    "launch configuration": _used(
        lambda house, image: house.library.configurations.update({_named(house, "lc"): image})
    ),
    "group's override": _used(
        lambda house, image: house.library.groups.update({_named(house, "asg"): image})
    ),
    "hidden instance": _used(_by_a_hidden_instance),
    "hidden launch template": _used(_by_a_hidden_template),
    "Spot request": _used(_by_a_spot_request),
    "EC2 Fleet": _used(_by_a_fleet(spot=False)),
    "Spot Fleet": _used(_by_a_fleet(spot=True)),
    "being copied": _used(_being_copied),
    "snapshot being copied": _snapshot_being_copied,
    "fast snapshot restore": _restored_at_once,
    "shared with an account": _shared({"UserId": "210987654321"}),
    "shared with an organization": _shared(
        {"OrganizationArn": "arn:aws:organizations::210987654321:organization/o-123example"}
    ),
    "shared with a unit": _shared(
        {
            "OrganizationalUnitArn": "arn:aws:organizations::210987654321:ou/o-123example/ou-1234-5example"
        }
    ),
    "snapshot shared with an account": _shared_snapshot,
    "SSM parameter": _used(
        lambda house, image: house.library.parameters.update(
            {_named(house, "/ami"): ("String", f'{{"image": "{image}"}}')}
        )
    ),
    "SSM parameter, in the middle of a word": _used(
        lambda house, image: house.library.parameters.update(
            {_named(house, "/ami"): ("String", f"golden_{image}_v2")}
        )
    ),
    "Image Builder recipe": _used(
        lambda house, image: house.library.recipes.update({_named(house, "recipe"): image})
    ),
    "launched lately": lambda house: [house.image(launched_days_ago=31)],
    "deregistration protection": lambda house: [house.image(protection="enabled-with-cooldown")],
    "protection's cool-down": lambda house: [house.image(protection="disabled after 2030")],
    "protect tag": lambda house: [
        house.image(tags={**MANAGED, "DoNotTerminate": ""}, snapshot_tags=MANAGED),
        house.snapshot(tags={**MANAGED, "DoNotTerminate": ""}),
    ],
    "AWS Backup": lambda house: [
        house.image(tags={**MANAGED, "aws:backup:source-resource": "i-1"})
    ],
    "too young": lambda house: [house.image(age_days=29), house.snapshot(age_days=6)],
    "latest of its source": _latest_of_its_source,
    "public": lambda house: [house.image(public=True)],
    "disabled": lambda house: [house.image(state="disabled")],
    "untagged": lambda house: [house.image(tags={}), house.snapshot(tags={})],
    "locked": _locked,
    "of another's image": _shared_with_others,
    "mapped by a template": _mapped_by_a_template,
    "unfinished": lambda house: [house.snapshot(state="pending")],
    "archived": lambda house: [house.snapshot(tier="archive")],
    "restored from the archive for a time": lambda house: [
        house.snapshot(restored_until=house.world.clock() + 86_400)
    ],
    "a copy": lambda house: [house.snapshot(volume_id="vol-ffffffff")],
}
