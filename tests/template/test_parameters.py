"""Wrong parameters are caught before anything is created."""

import json

import pytest

from handler.settings import Settings
from tests.template.stack import BadParameterError, Stack, source

PARAMETERS = sorted(source()["Parameters"])


@pytest.mark.parametrize("name", PARAMETERS)
def test_a_parameter_is_described_used_and_in_a_group_of_the_console(name: str) -> None:
    template = {**source(), "Parameters": {}, "Metadata": {}}
    assert source()["Parameters"][name]["Description"]
    text = json.dumps(template)
    assert f'"{name}"' in text or f"${{{name}}}" in text
    interface = source()["Metadata"]["AWS::CloudFormation::Interface"]
    grouped = [p for group in interface["ParameterGroups"] for p in group["Parameters"]]
    assert grouped.count(name) == 1
    assert len(grouped) == len(PARAMETERS)


BAD = [
    ("AgentId", ""),
    ("AgentId", 'a"b'),
    ("AgentId", "a b"),
    ("ServerUrl", "http://backend.example.com"),
    ("ServerUrl", "https://user:password@backend.example.com"),
    ("ServerUrl", "https://user:12/3@backend.example.com"),
    ("ServerUrl", "https://backend.example.com/?q=1"),
    ("ServerUrl", "backend.example.com"),
    ("ClientTokenParameter", "arn:aws:ssm:eu-west-1:123456789012:parameter/token"),
    ("ClientTokenParameter", "//token"),
    ("ClientTokenParameter", "*"),
    ("TokenKmsKeyArn", "alias/aws/ssm"),
    ("TokenKmsKeyArn", "*"),
    ("RequiredTags", ""),
    ("RequiredTags", "Env=prod"),
    ("RequiredTags", "ManagedBy="),
    ("RequiredTags", "ManagedBy=*"),
    ("RequiredTags", "ManagedBy=${aws:username}"),
    ("RequiredTags", "ManagedBy=SpotOptimizer,Env"),
    ("ProtectTag", ""),
    ("MissingInstancePolicy", "report"),
    ("AsgMembers", "terminate"),
    ("DryRun", "yes"),
    ("MaxFleetPercent", "101"),
    ("MaxFleetPercent", "0"),
    ("MaxTerminationsPerRun", "0"),
    ("TerminationCheckInterval", "30"),
    ("TerminationCheckInterval", "90"),
    ("LogRetentionDays", "100"),
    ("VpcSubnetIds", "subnet-1, subnet-2"),
    ("Architecture", "aarch64"),
    ("AlarmTopicArn", "ops@example.com"),
    ("AlarmEmail", "ops"),
    ("AlarmEmail", "ops@example.com,dev@example.com"),
    ("ClientTokenParameter", "{agent_id}"),
    ("ClientTokenParameter", "aws-token"),
    ("ClientTokenParameter", "/SSM/token"),
    ("ClientTokenParameter", "/awsToken"),
    ("ClientTokenParameter", "a/b/token"),  # SSM: a name with levels begins with a slash
    ("ClientTokenParameter", "/1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16"),
    ("ClientTokenParameter", "<parameter>"),
    ("BackendCaParameter", "/aws/ca"),
    ("BackendCaParameter", "/spot/{agent_id}/ca"),
    ("ServerUrl", "https://.."),
    ("ServerUrl", "https://-backend.example.com"),
    ("ServerUrl", "https://backend..example.com"),
    ("ServerUrl", "https://[backend]"),
    ("ServerUrl", "https://2001:db8::1/"),
    ("ServerUrl", "https://backend.example.com/#x"),
    ("ServerUrl", "https://backend.example.com/a b"),
    ("ServerUrl", "<https://the backend>"),
    ("RequiredTags", "ManagedBy= x"),
    ("RequiredTags", "ManagedBy=x "),
    ("RequiredTags", "ManagedBy=" + "x" * 257),
    ("ProtectTag", " x"),
    ("ProtectTag", "x" * 129),
    ("UntaggedReplicas", "true"),
    ("EventBusName", "arn:aws:events:eu-west-1:123456789012:event-bus/spot"),
    ("PowertoolsMetricsNamespace", "AWS/Spot"),
    ("PowertoolsMetricsNamespace", ""),
    ("PowertoolsMetricsNamespace", "n" * 127),
    ("PowertoolsServiceName", "a b"),
    ("OverdueAfterSeconds", "59"),
    ("MonitoringEnabled", "no"),
    ("AlarmEmail", "<ops@example.com>"),
    ("ClientTokenParameter", "/{agent_id}/token"),
    ("ClientTokenParameter", "/spot/{agent}/token"),
    ("Stage", "Production"),
    ("ReservedConcurrency", "901"),
    ("HousekeepingEnabled", "yes"),
    ("CleanupAmisOlderThanDays", "0"),
    ("KeepLatestAmis", "-1"),
    ("MaxDeletionsPerRun", "0"),
    ("MaxDeletionsPerRun", "1001"),
]


@pytest.mark.parametrize(("name", "value"), BAD)
def test_a_bad_value_is_refused(name: str, value: str) -> None:
    with pytest.raises(BadParameterError):
        Stack.of(**{name: value})


GOOD = [
    ("AgentId", "3f0c2b9e-8c1d-4a57-9f43-0d6f6a7f1c11"),
    ("ServerUrl", "https://backend.example.com:8443/optimizer/"),
    ("ClientTokenParameter", "token"),
    ("ClientTokenParameter", "/spot/agent-1/token"),
    ("TokenKmsKeyArn", "arn:aws:kms:eu-west-1:123456789012:key/mrk-1234"),
    ("TokenKmsKeyArn", "arn:aws-cn:kms:cn-north-1:123456789012:key/12ab"),
    ("RequiredTags", "ManagedBy=SpotOptimizer,Env=prod,Team=a/b"),
    ("AlarmTopicArn", "arn:aws:sns:eu-west-1:123456789012:ops"),
    ("AlarmEmail", "spot.ops+night@mail.example.com"),
    ("ClientTokenParameter", "/spot/{agent_id}/token"),
    ("ClientTokenParameter", "/spot/token-{agent_id}"),
    ("ClientTokenParameter", "/1/2/3/4/5/6/7/8/9/10/11/12/13/14/15"),
    ("ClientTokenParameter", "my-aws-token"),
    ("BackendCaParameter", "/spot/ca.pem"),
    ("ServerUrl", "https://[2001:db8::1]:8443/optimizer"),
    ("ServerUrl", "https://192.0.2.1"),
    ("ServerUrl", "https://backend_2.internal."),
    ("ServerUrl", "https://localhost/api/~spot/v1.0/a%20b"),
    ("RequiredTags", "ManagedBy=Spot Optimizer"),
    ("RequiredTags", "ManagedBy=a=b,Team name=x=y z"),
    ("RequiredTags", "ManagedBy=größe (1)"),
    ("ProtectTag", "Do not terminate"),
    ("EventBusName", "default"),
    ("PowertoolsMetricsNamespace", "My metrics/spot"),
    ("PowertoolsMetricsNamespace", "AWSome"),
    ("PowertoolsServiceName", "s" * 128),
    ("Stage", "staging"),
]


@pytest.mark.parametrize(("name", "value"), GOOD)
def test_a_good_value_is_taken_by_the_template_and_by_the_function(name: str, value: str) -> None:
    environment = Stack.of(**{name: value}).environment()
    Settings.read({**environment, "AWS_REGION": "eu-west-1"}, {})
