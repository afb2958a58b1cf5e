"""The public reports, what happens here in their place, and the test that shows it."""

from dataclasses import dataclass

GITHUB = "https://github.com"
RUN = "tests/reported/test_reported.py"
FACT = "tests/facts/test_facts.py"
TITLE = "## What others reported"


@dataclass(frozen=True, slots=True)
class Kind:
    """A fault that programs of this kind had, and whose.

    Attributes:
        fault: what went wrong there.
        here: what happens here.
        test: its name, after the file; of a fact its name in brackets.
        reports: where it was reported, as `owner/name#number`.
    """

    fault: str
    here: str
    test: str
    reports: tuple[str, ...]


KINDS = (
    Kind(
        "One protected or broken instance keeps the whole batch from being acted on",
        "The others end; the one is reported as failed, in EC2's words",
        f"{RUN}::test_one_protected_instance_spares_none_of_the_others",
        (
            "cloud-custodian/cloud-custodian#7555",
            "aws-solutions/instance-scheduler-on-aws#304",
            "aws-solutions/instance-scheduler-on-aws#266",
            "rebuy-de/aws-nuke#279",
        ),
    ),
    Kind(
        "One instance changes or vanishes between look and call, and the others are left",
        "It is sorted out, the others end",
        f"{RUN}::test_one_that_vanishes_meanwhile_spares_none_of_the_others",
        ("cloud-custodian/cloud-custodian#3143",),
    ),
    Kind(
        "A terminated instance, still shown, breaks the run or is terminated again",
        "It is reported without a call",
        f"{RUN}::test_what_has_ended_already_is_reported_and_not_asked_for",
        ("aws-solutions/instance-scheduler-on-aws#281", "gruntwork-io/cloud-nuke#3"),
    ),
    Kind(
        "A Spot instance in a batch keeps the others from being acted on",
        "All end",
        f"{RUN}::test_a_spot_instance_costs_the_others_of_its_batch_nothing",
        ("aws-solutions/instance-scheduler-on-aws#76",),
    ),
    Kind(
        "Of a thousand some are leaked, or each batch asks for all of them",
        "Each is asked for once, and none is left",
        f"{RUN}::test_each_of_many_is_asked_for_once_and_none_is_left",
        ("aws/karpenter-provider-aws#549", "cloud-custodian/cloud-custodian#7607"),
    ),
    Kind(
        "A request limit ends the program with an error",
        "It is waited for; nothing counts as failed",
        f"{RUN}::test_a_throttle_is_waited_for_and_fails_nothing",
        (
            "harmony-one/experiment-deploy#1",
            "hashicorp/terraform-provider-aws#138",
            "jclouds/legacy-jclouds#1214",
            "otiai10/hotsub#10",
        ),
    ),
    Kind(
        "A throttle whose message names the account and the action is not taken for one",
        "The code decides, not the words",
        f"{FACT}[a request limit that names the account and the action is a throttle]",
        ("CloudSnorkel/cdk-github-runners#946",),
    ),
    Kind(
        "A persistent Spot request launches the terminated instance again",
        "The request is cancelled first",
        f"{RUN}::test_a_persistent_spot_request_brings_nothing_back",
        ("fastai/fastec2#14", "ansible/ansible#69145", "claffin/cloudproxy#48"),
    ),
    Kind(
        "A Spot request that EC2 does not show yet is taken for one that does not exist",
        "Its instance waits until EC2 has had the time to show it; one long marked ends",
        f"{RUN}::test_a_spot_request_that_is_not_shown_yet_holds_its_instance_back",
        (
            "cloudfoundry/bosh#577",
            "aws/aws-sdk-ruby#1559",
            "docker-archive-public/docker.machine#3539",
            "NixOS/nixops#1022",
        ),
    ),
    Kind(
        "With two hundred instances a look-up's filters hold more values than EC2 takes",
        "The values of all of a call's filters are counted; it takes several calls",
        f"{RUN}::test_more_spot_requests_than_one_call_takes_are_all_cancelled",
        (
            "ansible/ansible#16184",
            "gjbae1212/gossm#35",
            "gjbae1212/gossm#47",
            "apache/druid#1954",
        ),
    ),
    Kind(
        "One value in a filter is too long, and the look-up fails for all",
        "A long tag is asked for by its beginning, and what is no id not as one",
        f"{RUN}::test_an_odd_tag_of_one_replica_costs_the_others_nothing",
        ("ansible-collections/amazon.aws#2393", "pulumi/pulumi-aws#931"),
    ),
    Kind(
        "An Auto Scaling group launches a terminated member again, however often",
        "A member is refused, with its group's name",
        f"{RUN}::test_a_groups_member_is_left_to_its_group",
        ("aws/amazon-ecs-agent#1150",),
    ),
    Kind(
        "EC2 does not know a new instance yet, and it is taken for one that does not exist",
        "One marked a moment ago is asked for twice before it counts as gone",
        f"{RUN}::test_what_ec2_does_not_show_yet_is_not_reported_as_gone",
        (
            "boto/boto3#2556",
            "ansible-collections/amazon.aws#1810",
            "hashicorp/terraform-provider-aws#8250",
            "packer-community/packer-windows-plugins#37",
            "numenta/numenta-apps#490",
        ),
    ),
    Kind(
        "Several unknown ids stand in one message, and all are taken for unknown",
        "Each named one is read, the others are asked for again",
        f"{FACT}[several unknown instances are named in the plural]",
        ("aws-samples/aws-plugin-for-slurm#16",),
    ),
    Kind(
        "An id in the old short form is not recognised",
        "Both forms are read",
        f"{FACT}[an old short id is named as well]",
        ("chef-boneyard/chef-provisioning-aws#158",),
    ),
    Kind(
        "A role bound to tags is denied, in a loop, for what has ended and lost its tags",
        "EC2 is looked at first; what has ended is reported without a call",
        f"{RUN}::test_a_role_bound_to_tags_is_not_asked_to_end_what_has_lost_them",
        ("aws/karpenter-provider-aws#2253", "aws/karpenter-provider-aws#1796"),
    ),
    Kind(
        "An instance that EC2 has forgotten is tried for ever",
        "It is reported as gone, once EC2 names it as unknown",
        f"{RUN}::test_what_ec2_has_forgotten_is_reported_and_not_tried_for_ever",
        ("aws/karpenter-provider-aws#553",),
    ),
    Kind(
        "A missing permission shows only as a long encoded message",
        "The outcome has EC2's code and words, and the backend is told",
        f"{RUN}::test_a_missing_permission_is_told_in_ec2s_words",
        (
            "aws-ia/terraform-aws-eks-blueprints-addons#304",
            "aws-ia/terraform-aws-eks-blueprints-addons#339",
        ),
    ),
    Kind(
        "An instance that an AWS service manages cannot be terminated by hand",
        "It is refused, with its operator's name",
        f"{RUN}::test_an_instance_that_a_service_manages_is_refused_and_not_gone",
        ("aws/eks-node-monitoring-agent#151",),
    ),
    Kind(
        "An answer that breaks off or is empty raises, and is not asked for again",
        "A look that breaks off is made again",
        f"{RUN}::test_a_look_that_breaks_off_is_made_again",
        ("boto/boto3#1961", "boto/boto3#717", "boto/boto3#887", "boto/botocore#1830"),
    ),
    Kind(
        "A page of something else stands in the place of AWS's XML",
        "Nothing is known then: what is listed is deferred, nothing is reported",
        f"{RUN}::test_a_page_in_the_place_of_ec2s_answer_proves_nothing",
        ("boto/botocore#478",),
    ),
    Kind(
        "Transactions in each other's way fail, and no SDK tries them again",
        "They are tried again; each success is reported once",
        f"{RUN}::test_writes_in_each_others_way_cost_no_report",
        (
            "pynamodb/PynamoDB#1264",
            "guregu/dynamo#203",
            "scalar-labs/scalardb#407",
            "amzn/smoke-dynamodb#90",
            "eng-floe/floecat#257",
        ),
    ),
    Kind(
        "A Retry-After that is no number, negative or out of range raises",
        "It is no reason to give a report up",
        f"{RUN}::test_an_odd_retry_after_costs_no_report",
        (
            "urllib3/urllib3#1822",
            "urllib3/urllib3#3743",
            "SpaceTradersAPI/api-docs#24",
            "notatallshaw/nab#596",
            "pydantic/pydantic-ai#7073",
        ),
    ),
    Kind(
        "At DEBUG, botocore logs decrypted parameters, session tokens and signed requests",
        "No library's DEBUG lines are written, whatever the log level",
        f"{RUN}::test_no_secret_is_logged_at_debug",
        (
            "boto/boto3#1203",
            "boto/boto3#2292",
            "boto/botocore#2626",
            "Preocts/secretbox#77",
        ),
    ),
    Kind(
        "An accepted call has not ended the instance, and nobody looks again",
        "A state that is no end is no success; the next run tries again",
        f"{RUN}::test_what_an_accepted_call_has_not_ended_is_tried_again",
        ("aws/karpenter-provider-aws#7684", "aws/karpenter-provider-aws#335"),
    ),
    Kind(
        "An instance without tags is nobody's, and runs on unseen",
        "It runs on, and is counted and alarmed as untagged",
        f"{RUN}::test_what_nobody_has_tagged_runs_on_and_is_counted",
        ("LeanerCloud/AutoSpotting#128",),
    ),
    Kind(
        "Stop protection stands against an end, under termination protection's code",
        "It is a refusal of that instance, whichever attribute the message names",
        f"{FACT}[stop protection can stand against the end of an instance that cannot be stopped]",
        ("cloud-custodian/cloud-custodian#7598", "cloud-custodian/cloud-custodian#8007"),
    ),
    Kind(
        "A snapshot that an image uses ends the clean-up with an error",
        "In use is a meaning of its own, told by the code",
        f"{FACT}[a snapshot that an image uses]",
        (
            "Answers4AWS/backup-monkey#10",
            "sebdah/automated-ebs-snapshots#4",
            "aws-samples/remote-swe-agents#171",
            "ekristen/aws-nuke#369",
        ),
    ),
)


def section() -> list[str]:
    """The table of docs/reliability.md, in lines."""
    total = sum(len(kind.reports) for kind in KINDS)
    lines = [
        TITLE,
        "",
        f"{total} public reports about programs of this kind and what they are built on, in {len(KINDS)}",
        "kinds. Each kind was tried here, by the test that is named.",
        "",
        "<details>",
        "<summary>The table</summary>",
        "",
        "| fault | reported | what happens here | test |",
        "|---|---|---|---|",
    ]
    for kind in KINDS:
        links = ", ".join(f"[{one}]({_address(one)})" for one in kind.reports)
        lines.append(f"| {kind.fault} | {links} | {kind.here} | `{kind.test}` |")
    return [*lines, "", "</details>"]


def _address(report: str) -> str:
    repository, _, number = report.partition("#")
    return f"{GITHUB}/{repository}/issues/{number}"  # leads on to a pull request, too
