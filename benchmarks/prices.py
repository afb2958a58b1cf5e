"""AWS's list prices, which must be checked: they were written down, not fetched from AWS.

us-east-1, in US dollars, without any free tier, as of November 2025. In one place, so that checking
them is reading one page. Each stands on the service's own page of prices, named above it; Lambda's and
DynamoDB's were compared with what others quote in 2025. Months have 730 hours.
"""

from __future__ import annotations

AS_OF = "November 2025"
REGION = "us-east-1"
HOURS = 730
DAYS = HOURS / 24

# https://aws.amazon.com/lambda/pricing/
LAMBDA_GB_SECOND = 0.0000133334  # arm64
LAMBDA_REQUEST = 0.20 / 1e6
# https://aws.amazon.com/eventbridge/pricing/
SCHEDULER_INVOCATION = 1.00 / 1e6
# https://aws.amazon.com/dynamodb/pricing/on-demand/
DYNAMODB_WRITE = 0.625 / 1e6  # on demand, one unit: up to 1 KB
DYNAMODB_READ = 0.125 / 1e6  # on demand, one unit; strongly consistent, up to 4 KB
# https://aws.amazon.com/cloudwatch/pricing/
LOGS_GB_INGESTED = 0.50
LOGS_GB_MONTH = 0.03
CUSTOM_METRIC_MONTH = 0.30  # by the hour in which it is sent
ALARM_METRIC_MONTH = 0.10
COMPOSITE_ALARM_MONTH = 0.50
DASHBOARD_MONTH = 3.00  # an account's first three cost nothing

# The smallest machine on which the daemon could run, around the clock:
# https://aws.amazon.com/ec2/pricing/on-demand/, https://aws.amazon.com/ebs/pricing/, https://aws.amazon.com/vpc/pricing/
T4G_NANO_HOUR = 0.0042
GP3_GB_MONTH = 0.08
DAEMON_DISK_GB = 8
PUBLIC_IPV4_HOUR = 0.005

DAEMON_MONTH = T4G_NANO_HOUR * HOURS + DAEMON_DISK_GB * GP3_GB_MONTH
"""With a way to the internet that it has anyway; a public address of its own comes on top."""
IPV4_MONTH = PUBLIC_IPV4_HOUR * HOURS
