"""Instances with all the members that EC2 sends, so that what is measured is what is paid for."""

from typing import Any

from tools.ec2_emulator import Emulator
from tools.ec2_emulator.tests.sides import Clients


def test_an_instance_of_life_size_has_some_4_kb_on_the_wire(
    emulator: Emulator, aws: Clients
) -> None:
    sizes: list[int] = []

    def weigh(response_dict: Any, **_: Any) -> None:
        sizes.append(len(response_dict["body"]))

    aws.ec2.meta.events.register("before-parse.ec2.DescribeInstances", weigh)
    ids = [emulator.fleet.launch(tags={"ManagedBy": "SpotOptimizer"}) for _ in range(10)]
    plain = aws.ec2.describe_instances(InstanceIds=ids)["Reservations"]
    emulator.answer_in_life_size()
    full = aws.ec2.describe_instances(InstanceIds=ids)["Reservations"]
    aws.ec2.meta.events.unregister("before-parse.ec2.DescribeInstances", weigh)
    assert sizes[0] < 10_000
    assert 38_000 < sizes[1] < 50_000
    for small, large in zip(plain, full, strict=True):
        assert small["Instances"][0].items() <= large["Instances"][0].items()
    assert full[0]["Instances"][0]["NetworkInterfaces"][0]["Status"] == "in-use"
    emulator.reset()
    emulator.fleet.launch()
    [again] = aws.ec2.describe_instances()["Reservations"]
    assert "NetworkInterfaces" not in again["Instances"][0]
