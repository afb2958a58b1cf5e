"""SSM's Parameter Store, as far as one SecureString needs it."""

from collections.abc import Mapping
from typing import Any

from tools.ec2_emulator.clock import Clock, as_datetime
from tools.ec2_emulator.errors import AwsError


class Parameters:
    """SecureStrings by name; setting one again rotates it."""

    def __init__(self, clock: Clock, *, region: str, account: str) -> None:
        self._clock = clock
        self._arn = f"arn:aws:ssm:{region}:{account}:parameter"
        self._values: dict[str, tuple[str, int, float]] = {}

    def __setitem__(self, name: str, value: str) -> None:
        version = self._values[name][1] + 1 if name in self._values else 1
        self._values[name] = (value, version, self._clock())

    def __delitem__(self, name: str) -> None:
        del self._values[name]

    def get_parameter(self, parameters: Mapping[str, Any]) -> Mapping[str, Any]:
        name = parameters["Name"]
        if name not in self._values:
            raise AwsError("ParameterNotFound", f"Parameter {name} not found.")
        value, version, at = self._values[name]
        return {
            "Parameter": {
                "Name": name,
                "Type": "SecureString",
                "Value": value if parameters.get("WithDecryption") else "AQICAHencrypted==",
                "Version": version,
                "LastModifiedDate": as_datetime(at),
                "ARN": f"{self._arn}/{name.lstrip('/')}",
                "DataType": "text",
            }
        }
