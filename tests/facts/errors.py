"""The other services' errors, what is not AWS's answer at all, and every error together."""

from tests.facts.ec2_errors import EC2_ERRORS
from tests.facts.fact import CUSTODIAN, DYNAMODB_ERRORS, LOCALSTACK, Fact
from tests.facts.kinds import GITHUB, error, foreign, namespaced

_DESCRIBE = "ec2.DescribeInstances"

JSON_ERRORS = (
    namespaced(
        "a condition that does not hold, with its name space",
        "com.amazonaws.dynamodb.v20120810",
        "The conditional request failed",
        "ConditionalCheckFailedException",
        "refused",
    ),
    namespaced(
        "a table that is not there",
        "com.amazonaws.dynamodb.v20120810",
        "Requested resource not found: Table: none not found",
        "ResourceNotFoundException",
        "refused",
    ),
    namespaced(
        "a table that is too busy",
        "com.amazonaws.dynamodb.v20120810",
        "The level of configured provisioned throughput for the table was exceeded.",
        "ProvisionedThroughputExceededException",
        "throttled",
    ),
    namespaced(
        "a throttle by its general name",
        "com.amazon.coral.availability",
        "Rate of requests exceeds the allowed throughput.",
        "ThrottlingException",
        "throttled",
    ),
    namespaced(
        "a token that is invalid",
        "com.amazon.coral.service",
        "The security token included in the request is invalid.",
        "UnrecognizedClientException",
        "locked-out",
    ),
    namespaced(
        "a signature that is incomplete",
        "com.amazon.coral.service",
        "The request signature does not conform to AWS standards.",
        "IncompleteSignatureException",
        "locked-out",
    ),
    namespaced(
        "a request without a token",
        "com.amazon.coral.service",
        "Request must contain a valid (registered) AWS Access Key ID.",
        "MissingAuthenticationTokenException",
        "locked-out",
    ),
    namespaced(
        "a signature that is wrong",
        "com.amazon.coral.service",
        "The request signature we calculated does not match the signature you provided.",
        "InvalidSignatureException",
        "locked-out",
    ),
    namespaced(
        "a token that has expired",
        "com.amazon.coral.service",
        "The security token included in the request is expired",
        "ExpiredTokenException",
        "locked-out",
    ),
    namespaced(
        "DynamoDB's own trouble",
        "com.amazonaws.dynamodb.v20120810",
        "Internal server error",
        "InternalServerError",
        "faulty",
        500,
    ),
    Fact(
        "a denial whose message is written with a capital",
        DYNAMODB_ERRORS,
        "dynamodb.PutItem",
        '{"__type":"com.amazon.coral.service#AccessDeniedException","Message":"User: '
        'arn:aws:sts::111122223333:assumed-role/run/f is not authorized to perform: dynamodb:PutItem"}',
        {
            "code": "AccessDeniedException",
            "means": "refused",
            "denied": True,
            "says": "is not authorized to perform: dynamodb:PutItem",
        },
        400,
    ),
    error(
        "a parameter that is not there, without a word of explanation",
        f"{CUSTODIAN}/test_ssm_parameter_delete_non_existant/ssm.DeleteParameter_1.json",
        "ssm.GetParameter",
        "ParameterNotFound",
        "",
        "refused",
    ),
    error(
        "the event history asked too often",
        "https://docs.aws.amazon.com/awscloudtrail/latest/APIReference/API_LookupEvents.html",
        "cloudtrail.LookupEvents",
        "ThrottlingException",
        "Rate exceeded",
        "throttled",
    ),
    error(
        "a group's validation error",
        "https://docs.aws.amazon.com/autoscaling/ec2/APIReference/CommonErrors.html",
        "autoscaling.TerminateInstanceInAutoScalingGroup",
        "ValidationError",
        "Instance Id not found - No managed instance found for instance ID: i-017fc9a2a33b853fe",
        "refused",
        named=["i-017fc9a2a33b853fe"],
    ),
    error(
        "a query service's throttle",
        "https://docs.aws.amazon.com/autoscaling/ec2/APIReference/CommonErrors.html",
        "autoscaling.DescribeAutoScalingInstances",
        "Throttling",
        "Rate exceeded",
        "throttled",
    ),
    error(
        "an event bus that is not there",
        f"{LOCALSTACK}/events/test_events.snapshot.json",
        "events.PutEvents",
        "ResourceNotFoundException",
        "Event bus spot-events does not exist.",
        "refused",
    ),
    error(
        "events that are too large together",
        f"{LOCALSTACK}/events/test_events.snapshot.json",
        "events.PutEvents",
        "ValidationException",
        "Total size of the entries in the request is over the limit.",
        "refused",
    ),
)

FOREIGN = (
    foreign(
        "a page of a proxy in the place of XML",
        f"{GITHUB}/boto/botocore/blob/develop/botocore/parsers.py",
        _DESCRIBE,
        502,
        "<html><head><title>502 Bad Gateway</title></head></html>",
        "faulty",
    ),
    foreign(
        "XML that breaks off",
        f"{GITHUB}/boto/botocore/blob/develop/botocore/parsers.py",
        _DESCRIBE,
        200,
        '<?xml version="1.0"?><DescribeInstancesResponse><reservationSet><item>',
        "no-answer",
    ),
    foreign(
        "an empty answer with 503",
        f"{GITHUB}/boto/botocore/blob/develop/botocore/parsers.py",
        _DESCRIBE,
        503,
        "",
        "faulty",
    ),
    foreign(
        "a gateway that is asked too often",
        "https://www.rfc-editor.org/rfc/rfc6585#section-4",
        "dynamodb.PutItem",
        429,
        "{}",
        "throttled",
    ),
)

ERRORS = (*EC2_ERRORS, *JSON_ERRORS, *FOREIGN)
