"""The members that EC2 sends of every instance and that no rule here reads: about 4 KB on the wire.

Which ones they are was taken from
https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_Instance.html and from an answer recorded for
https://github.com/cloud-custodian/cloud-custodian (tests/data/placebo); every value is made up.
"""

from typing import Any

from tools.ec2_emulator.clock import as_datetime
from tools.ec2_emulator.instance import Instance


def members(instance: Instance, account: str, region: str) -> dict[str, Any]:
    """Everything beside what `ec2` describes, in the shape that boto3 shows."""
    number = instance.sequence
    low, high = number % 250 + 4, number // 250 % 250
    private_ip, public_ip = f"10.1.{high}.{low}", f"203.0.{high}.{low}"
    private_name = f"ip-10-1-{high}-{low}.ec2.internal"
    public_name = f"ec2-203-0-{high}-{low}.compute-1.amazonaws.com"
    launched = as_datetime(instance.launched_at)
    groups = [{"GroupId": "sg-0a1b2c3d4e5f60718", "GroupName": "web-servers-sg"}]
    public = {"IpOwnerId": "amazon", "PublicDnsName": public_name, "PublicIp": public_ip}
    return {
        "AmiLaunchIndex": 0,
        "Architecture": "x86_64",
        "BlockDeviceMappings": [
            {
                "DeviceName": "/dev/xvda",
                "Ebs": {
                    "AttachTime": launched,
                    "DeleteOnTermination": True,
                    "Status": "attached",
                    "VolumeId": f"vol-{number:017x}",
                    "EbsCardIndex": 0,
                },
            }
        ],
        "BootMode": "uefi-preferred",
        "CapacityReservationSpecification": {"CapacityReservationPreference": "open"},
        "ClientToken": f"fleet-00000000-0000-4000-8000-{number:012x}-0",
        "CpuOptions": {"CoreCount": 1, "ThreadsPerCore": 2},
        "CurrentInstanceBootMode": "legacy-bios",
        "EbsOptimized": True,
        "EnaSupport": True,
        "EnclaveOptions": {"Enabled": False},
        "HibernationOptions": {"Configured": False},
        "Hypervisor": "xen",
        "IamInstanceProfile": {
            "Arn": f"arn:aws:iam::{account}:instance-profile/spot-optimizer-agent",
            "Id": "AIPAEXAMPLEEXAMPLEEXA",
        },
        "KeyName": f"operations-{region}",
        "MaintenanceOptions": {"AutoRecovery": "default", "RebootMigration": "default"},
        "MetadataOptions": {
            "State": "applied",
            "HttpTokens": "required",
            "HttpPutResponseHopLimit": 2,
            "HttpEndpoint": "enabled",
            "HttpProtocolIpv6": "disabled",
            "InstanceMetadataTags": "disabled",
        },
        "Monitoring": {"State": "disabled"},
        "NetworkInterfaces": [
            {
                "Association": public,
                "Attachment": {
                    "AttachTime": launched,
                    "AttachmentId": f"eni-attach-{number:017x}",
                    "DeleteOnTermination": True,
                    "DeviceIndex": 0,
                    "Status": "attached",
                    "NetworkCardIndex": 0,
                },
                "Description": "",
                "Groups": groups,
                "InterfaceType": "interface",
                "Ipv6Addresses": [],
                "MacAddress": f"0a:58:0a:01:{high:02x}:{low:02x}",
                "NetworkInterfaceId": f"eni-{number:017x}",
                "Operator": {"Managed": False},
                "OwnerId": account,
                "PrivateDnsName": private_name,
                "PrivateIpAddress": private_ip,
                "PrivateIpAddresses": [
                    {
                        "Association": public,
                        "Primary": True,
                        "PrivateDnsName": private_name,
                        "PrivateIpAddress": private_ip,
                    }
                ],
                "SourceDestCheck": True,
                "Status": "in-use",
                "SubnetId": "subnet-0a1b2c3d4e5f60718",
                "VpcId": "vpc-0a1b2c3d4e5f60718",
            }
        ],
        "NetworkPerformanceOptions": {"BandwidthWeighting": "default"},
        "PlatformDetails": "Linux/UNIX",
        "PrivateDnsName": private_name,
        "PrivateDnsNameOptions": {
            "HostnameType": "ip-name",
            "EnableResourceNameDnsARecord": False,
            "EnableResourceNameDnsAAAARecord": False,
        },
        "PrivateIpAddress": private_ip,
        "ProductCodes": [],
        "PublicDnsName": public_name,
        "PublicIpAddress": public_ip,
        "RootDeviceName": "/dev/xvda",
        "RootDeviceType": "ebs",
        "SecurityGroups": groups,
        "SourceDestCheck": True,
        "SubnetId": "subnet-0a1b2c3d4e5f60718",
        "UsageOperation": "RunInstances",
        "UsageOperationUpdateTime": launched,
        "VirtualizationType": "hvm",
        "VpcId": "vpc-0a1b2c3d4e5f60718",
    }
