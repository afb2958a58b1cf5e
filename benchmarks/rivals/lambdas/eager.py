"""The same first run as it is usually written: everything is imported, and made, at the top."""

import os

import boto3
import urllib3
from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.utilities.idempotency import DynamoDBPersistenceLayer
from aws_lambda_powertools.utilities.parameters import SSMProvider
from aws_lambda_powertools.utilities.parser import BaseModel

logger = Logger(service="eager")
metrics = Metrics(namespace="eager", service="eager")
ec2 = boto3.client("ec2")
dynamodb = boto3.client("dynamodb")
store = DynamoDBPersistenceLayer(table_name=os.environ["IDEMPOTENCY_TABLE"], boto3_client=dynamodb)
parameters = SSMProvider(boto3_client=boto3.client("ssm"))
pool = urllib3.PoolManager(ca_certs=os.environ["REQUESTS_CA_BUNDLE"])


class Listing(BaseModel):
    """The backend's list."""

    instances: list[dict[str, object]]


@logger.inject_lambda_context
def handler(event: object, context: object) -> dict[str, int]:
    """Fetch the token, then the list."""
    del event, context
    token = str(parameters.get(os.environ["CLIENT_TOKEN_PARAMETER"], decrypt=True))
    answer = pool.request(
        "GET",
        f"{os.environ['SERVER_URL']}/api/agents/{os.environ['AGENT_ID']}/instances-to-terminate",
        headers={"Authorization": f"Bearer {token}"},
    )
    listed = len(Listing.model_validate_json(answer.data).instances)
    logger.info("run finished", listed=listed)
    return {"listed": listed}
