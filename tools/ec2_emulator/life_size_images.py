"""The members that EC2 sends of every image and snapshot and that no rule here reads.

Which ones they are was taken from
https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_Image.html and
https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_Snapshot.html; every value is made up.
"""

from typing import Any

from tools.ec2_emulator.library import Image

DISK: dict[str, Any] = {
    "DeleteOnTermination": True,
    "Encrypted": False,
    "Iops": 3000,
    "Throughput": 125,
    "VolumeSize": 8,
    "VolumeType": "gp3",
}
SNAPSHOT: dict[str, Any] = {
    "Encrypted": False,
    "FullSnapshotSizeInBytes": None,
    "Progress": "100%",
    "SseType": "sse-ebs",
    "TransferType": "standard",
}


def image(image: Image, region: str) -> dict[str, Any]:
    """Everything beside what `ec2_images` describes, in the shape that boto3 shows."""
    name = f"spot-optimizer-switch-{image.sequence:06d}"
    return {
        "Architecture": "x86_64",
        "BootMode": "uefi-preferred",
        "Description": f"Made by Spot Optimizer before a switch in {region}",
        "EnaSupport": True,
        "Hypervisor": "xen",
        "ImageLocation": f"123456789012/{name}",
        "ImageType": "machine",
        "ImdsSupport": "v2.0",
        "Name": name,
        "PlatformDetails": "Linux/UNIX",
        "RootDeviceName": "/dev/xvda",
        "RootDeviceType": "ebs",
        "SourceInstanceId": f"i-{image.sequence:017x}",
        "SriovNetSupport": "simple",
        "UsageOperation": "RunInstances",
        "VirtualizationType": "hvm",
    }
