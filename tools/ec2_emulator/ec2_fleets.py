"""EC2's look at fleets: EC2 Fleets and, by a call of their own, Spot Fleet requests.

An `instant` fleet is shown to those only who ask for it by its id, as
https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeFleets.html says. The codes for unknown
ids are those that
https://github.com/hashicorp/terraform-provider-aws/blob/main/internal/service/ec2/errors.go met.
"""

from collections.abc import Mapping
from typing import Any

from tools.ec2_emulator.clock import as_datetime
from tools.ec2_emulator.errors import AwsError
from tools.ec2_emulator.fleets import Ec2Fleet
from tools.ec2_emulator.listing import Values, page, select
from tools.ec2_emulator.world import Handler, World

_FILTERS: Mapping[str, Values[Ec2Fleet]] = {
    "fleet-state": lambda fleet: [fleet.state],
    "type": lambda fleet: [fleet.type],
}


def describe_fleets(world: World, parameters: Mapping[str, Any]) -> Mapping[str, Any]:
    ids = parameters.get("FleetIds", [])
    known = _known(world, ids, "InvalidFleetId.NotFound", spot=False)
    shown = [each for each in known if ids or each.type != "instant"]
    found = select(shown, parameters.get("Filters", []), _FILTERS, lambda _: {})
    some, token = page(found, known.index, parameters, smallest=1)
    return {"Fleets": [_fleet(world, each) for each in some], "NextToken": token}


def describe_spot_fleet_requests(world: World, parameters: Mapping[str, Any]) -> Mapping[str, Any]:
    ids = parameters.get("SpotFleetRequestIds", [])
    known = _known(world, ids, "InvalidSpotFleetRequestId.NotFound", spot=True)
    some, token = page(known, known.index, parameters, smallest=1)
    return {"SpotFleetRequestConfigs": [_request(world, each) for each in some], "NextToken": token}


def _known(world: World, ids: list[str], code: str, *, spot: bool) -> list[Ec2Fleet]:
    world.fleet.settle()
    fleets = {key: each for key, each in world.fleet.fleets.items() if each.spot == spot}
    unknown = [key for key in ids if key not in fleets]
    if unknown:
        raise AwsError(code, f"The fleet IDs '{', '.join(unknown)}' do not exist")
    return [fleets[key] for key in dict.fromkeys(ids)] if ids else list(fleets.values())


def _fleet(world: World, fleet: Ec2Fleet) -> dict[str, Any]:
    return {
        "FleetId": fleet.id,
        "FleetState": fleet.state,
        "Type": fleet.type,
        "CreateTime": as_datetime(fleet.created_at),
        "TargetCapacitySpecification": {"TotalTargetCapacity": fleet.target},
        "LaunchTemplateConfigs": [
            {"Overrides": [{"ImageId": one}]} for one in _image(world, fleet)
        ],
    }


def _request(world: World, fleet: Ec2Fleet) -> dict[str, Any]:
    return {
        "SpotFleetRequestId": fleet.id,
        "SpotFleetRequestState": fleet.state,
        "CreateTime": as_datetime(fleet.created_at),
        "SpotFleetRequestConfig": {
            "Type": fleet.type,
            "TargetCapacity": fleet.target,
            "LaunchSpecifications": [{"ImageId": one} for one in _image(world, fleet)],
            "IamFleetRole": "arn:aws:iam::123456789012:role/aws-ec2-spot-fleet-tagging-role",
        },
    }


def _image(world: World, fleet: Ec2Fleet) -> list[str]:
    """The image that the fleet itself names, where it does."""
    return [image for key, image in world.library.fleet_images.items() if key == fleet.id]


OPERATIONS: Mapping[str, Handler] = {
    "DescribeFleets": describe_fleets,
    "DescribeSpotFleetRequests": describe_spot_fleet_requests,
}
