"""Images, snapshots, and what refers to them."""

from datetime import UTC, datetime
from typing import Any

from tests.facts.fact import EC2_API, EC2_GUIDE, Fact

EXAMPLES = (
    "https://github.com/boto/botocore/blob/develop/botocore/data/ec2/2016-11-15/examples-1.json"
)
GROUP_EXAMPLES = "https://github.com/boto/botocore/blob/develop/botocore/data/autoscaling/2011-01-01/examples-1.json"
EBS_GUIDE = "https://docs.aws.amazon.com/ebs/latest/userguide"
SSM_API = "https://docs.aws.amazon.com/systems-manager/latest/APIReference"
IMAGE, SNAPSHOT = "ami-012ab3c4d5e6f7890", "snap-0d16416527e67c663"
_READY = {"state": "available", "protected": False, "owner": None, "parts": [SNAPSHOT]}


def _image(name: str, source: str, changed: dict[str, Any], **reading: Any) -> Fact:
    mapping = {"DeviceName": "/dev/xvda", "Ebs": {"SnapshotId": SNAPSHOT, "VolumeSize": 8}}
    shown = {
        "ImageId": IMAGE,
        "State": "available",
        "CreationDate": "2025-03-02T09:10:11.000Z",
        "BlockDeviceMappings": [mapping],
    }
    return Fact(name, source, "ec2.DescribeImages", {"Images": [shown | changed]}, _READY | reading)


IMAGES = (
    _image(
        "an image names its time and its snapshot",
        f"{EC2_API}/API_Image.html",
        {},
        created="2025-03-02T09:10:11+00:00",
    ),
    _image(
        "an image's virtual devices are no snapshots",
        f"{EC2_API}/API_BlockDeviceMapping.html",
        {"BlockDeviceMappings": [{"DeviceName": "/dev/sdb", "VirtualName": "ephemeral0"}]},
        parts=[],
    ),
    Fact(
        "an old image shows no time",
        EXAMPLES,
        "ec2.DescribeImages",
        {
            "Images": [
                {
                    "ImageId": "ami-5731123e",
                    "BlockDeviceMappings": [
                        {"DeviceName": "/dev/sda1", "Ebs": {"SnapshotId": SNAPSHOT}}
                    ],
                    "Public": False,
                    "State": "available",
                }
            ]
        },
        {**_READY, "created": None},
    ),
    _image(
        "a disabled image has a state of its own",
        f"{EC2_GUIDE}/disable-an-ami.html",
        {"State": "disabled"},
        state="disabled",
    ),
    _image(
        "protection against deregistration",
        f"{EC2_GUIDE}/ami-deregistration-protection.html",
        {"DeregistrationProtection": "enabled-with-cooldown"},
        protected=True,
    ),
    _image(
        "protection holds through its cool-down",
        f"{EC2_GUIDE}/ami-deregistration-protection.html",
        {"DeregistrationProtection": "disabled after 2025-03-03T09:10:11.000Z"},
        protected=True,
    ),
    _image(
        "a protection that was never on",
        f"{EC2_GUIDE}/ami-deregistration-protection.html",
        {"DeregistrationProtection": "disabled"},
    ),
    _image(
        "AWS Backup's image has an owner's alias",
        f"{EC2_API}/API_Image.html",
        {"ImageOwnerAlias": "aws-backup-vault"},
        owner="aws-backup-vault",
    ),
    _image(
        "an image's last launch",
        f"{EC2_GUIDE}/ami-last-launched-time.html",
        {"LastLaunchedTime": "2025-04-05T06:07:08Z"},
        launched="2025-04-05T06:07:08+00:00",
    ),
)


def _snapshot(name: str, source: str, changed: dict[str, Any], **reading: Any) -> Fact:
    shown = {
        "SnapshotId": SNAPSHOT,
        "State": "completed",
        "VolumeId": "vol-049df61146c4d7901",
        "VolumeSize": 8,
        "StartTime": datetime(2014, 2, 28, 21, 28, 32, tzinfo=UTC),
        "StorageTier": "standard",
    }
    expected = {"state": "completed", "archived": False, "copies": []}
    return Fact(
        name,
        source,
        "ec2.DescribeSnapshots",
        {"Snapshots": [shown | changed]},
        expected | reading,
    )


SNAPSHOTS = (
    _snapshot("a snapshot's size is its volume's", EXAMPLES, {}, gigabytes=8.0),
    _snapshot(
        "a snapshot's full size in bytes",
        f"{EC2_API}/API_Snapshot.html",
        {"FullSnapshotSizeInBytes": 3 * 1024**3},
        gigabytes=3.0,
    ),
    _snapshot(
        "a snapshot in the archive",
        f"{EBS_GUIDE}/snapshot-archive.html",
        {"StorageTier": "archive"},
        archived=True,
    ),
    _snapshot(
        "a snapshot restored from the archive for a time",
        f"{EBS_GUIDE}/restore-archived-snapshot.html",
        {"RestoreExpiryTime": datetime(2025, 5, 6, 7, 8, 9, tzinfo=UTC)},
        archived=True,
    ),
    _snapshot(
        "a snapshot under way",
        EXAMPLES,
        {"State": "pending", "Progress": "87%", "Description": "This is my copied snapshot."},
        state="pending",
    ),
    _snapshot(
        "a copy's description names its source",
        f"{EBS_GUIDE}/ebs-copy-snapshot.html",
        {"Description": f"[Copied {SNAPSHOT} from us-east-1]", "State": "pending"},
        state="pending",
        copies=[SNAPSHOT],
    ),
)
PRESENCE = (
    Fact(
        "nothing listed is no proof that an image is gone",
        "https://docs.aws.amazon.com/ec2/latest/devguide/eventual-consistency.html",
        "ec2.DescribeImages",
        {"Images": []},
        {"there": "unknown"},
    ),
    Fact(
        "a deregistered image is listed for a while",
        f"{EC2_API}/API_DescribeImages.html",
        "ec2.DescribeImages",
        {"Images": [{"ImageId": IMAGE, "State": "deregistered"}]},
        {"there": False},
    ),
)

PERMISSIONS = (
    Fact(
        "an account that may launch an image",
        EXAMPLES,
        "ec2.DescribeImageAttribute",
        {"ImageId": IMAGE, "LaunchPermissions": [{"UserId": "123456789012"}]},
        {"with": "shared with 123456789012"},
    ),
    Fact(
        "an organizational unit that may launch an image",
        f"{EC2_API}/API_LaunchPermission.html",
        "ec2.DescribeImageAttribute",
        {"ImageId": IMAGE, "LaunchPermissions": [{"OrganizationalUnitArn": "arn:aws:o:1:ou/o/u"}]},
        {"with": "shared with arn:aws:o:1:ou/o/u"},
    ),
    Fact(
        "everybody may launch a public image",
        f"{EC2_API}/API_LaunchPermission.html",
        "ec2.DescribeImageAttribute",
        {"ImageId": IMAGE, "LaunchPermissions": [{"Group": "all"}]},
        {"with": "shared with all"},
    ),
    Fact(
        "a snapshot for nobody else",
        EXAMPLES,
        "ec2.DescribeSnapshotAttribute",
        {"SnapshotId": SNAPSHOT, "CreateVolumePermissions": []},
        {"with": None},
    ),
)


def _names(name: str, source: str, call: str, answer: dict[str, Any], *ids: str) -> Fact:
    return Fact(name, source, call, answer, {"names": sorted(ids)})


NAMING = (
    _names(
        "a launch template's versions name images each",
        EXAMPLES,
        "ec2.DescribeLaunchTemplateVersions",
        {
            "LaunchTemplateVersions": [
                {"VersionNumber": 2, "LaunchTemplateData": {"ImageId": "ami-6057e21a"}},
                {"VersionNumber": 1, "LaunchTemplateData": {"ImageId": "ami-aabbcc11"}},
            ]
        },
        "ami-6057e21a",
        "ami-aabbcc11",
    ),
    _names(
        "a launch configuration names an image",
        GROUP_EXAMPLES,
        "autoscaling.DescribeLaunchConfigurations",
        {"LaunchConfigurations": [{"LaunchConfigurationName": "a", "ImageId": "ami-043a5034"}]},
        "ami-043a5034",
    ),
    _names(
        "a Spot Fleet's specifications name images",
        EXAMPLES,
        "ec2.DescribeSpotFleetRequests",
        {
            "SpotFleetRequestConfigs": [
                {
                    "SpotFleetRequestId": "sfr-73fbd2ce-aa30-494c-8788-1cee4EXAMPLE",
                    "SpotFleetRequestState": "active",
                    "SpotFleetRequestConfig": {
                        "LaunchSpecifications": [{"ImageId": "ami-1a2b3c4d"}]
                    },
                }
            ]
        },
        "ami-1a2b3c4d",
    ),
    _names(
        "a Spot request's specification names an image",
        EXAMPLES,
        "ec2.DescribeSpotInstanceRequests",
        {
            "SpotInstanceRequests": [
                {
                    "SpotInstanceRequestId": "sir-08b93456",
                    "State": "active",
                    "LaunchSpecification": {"ImageId": "ami-7aba833f"},
                }
            ]
        },
        "ami-7aba833f",
    ),
)
PARAMETERS = (
    Fact(
        "a parameter that is asked for by its version",
        f"{SSM_API}/API_Parameter.html",
        "ssm.GetParameters",
        {
            "Parameters": [{"Name": "/golden", "Selector": ":3", "Value": IMAGE}],
            "InvalidParameters": [],
        },
        {"/golden:3": IMAGE},
    ),
    Fact(
        "a parameter that does not exist is told beside the others",
        f"{SSM_API}/API_GetParameters.html",
        "ssm.GetParameters",
        {
            "Parameters": [{"Name": "MyStringParameter", "Type": "String", "Value": "Vici"}],
            "InvalidParameters": ["MyInvalidParameterName"],
        },
        {"MyStringParameter": "Vici", "MyInvalidParameterName": ""},
    ),
)
