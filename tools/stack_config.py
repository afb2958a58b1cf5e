"""samconfig.toml: one block is one stack."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

FILE = Path(__file__).resolve().parents[1] / "samconfig.toml"
PLACEHOLDER = re.compile(r"<[^>]*>")
QUOTED = re.compile(r'^"(.*)"$')
DRY_RUN = "-dry-run"
KEEPS_APART = ("DryRun", "PowertoolsServiceName", "AlarmEmail", "AlarmTopicArn")
"""Parameters that a dry run beside the real stack has otherwise, or not at all: it notifies nobody."""


class StackConfigError(Exception):
    """The file has no such stack, or it is not filled in; the message says what to do."""


@dataclass(frozen=True, slots=True)
class StackConfig:
    """One block.

    Attributes:
        name: the block's, what `--config-env` takes.
        stack: the stack's name.
        region: where it is.
        parameters: of the template.
    """

    name: str
    stack: str
    region: str
    parameters: Mapping[str, str]

    @classmethod
    def read(cls, name: str, file: Path = FILE) -> Self:
        """Read a block.

        Raises:
            StackConfigError: there is none of this name; the message lists those that there are.
        """
        blocks = {
            key: block["global"]["parameters"]
            for key, block in tomllib.loads(file.read_text()).items()
            if isinstance(block, dict) and "stack_name" in block["global"]["parameters"]
        }
        if name not in blocks:
            asked = f"no stack {name!r}" if name else "say which stack, by REGION=..."
            raise StackConfigError(f"{file.name}: {asked}; there are {', '.join(sorted(blocks))}")
        block = blocks[name]
        parameters = dict(pair.split("=", 1) for pair in block["parameter_overrides"])
        return cls(name, block["stack_name"], block["region"], parameters)

    def filled_in(self, file: Path = FILE) -> Self:
        """The block with its values as the template gets them.

        Raises:
            StackConfigError: a placeholder is left, or a value that SAM would cut off at a blank; the message names them all.
        """
        left = [f"{k}={v}" for k, v in self.parameters.items() if PLACEHOLDER.search(v)]
        if left:
            raise StackConfigError(
                f"{file.name}: put your own values into [{self.name}.global.parameters]: "
                + "; ".join(left)
            )
        cut = [f"{k}={v}" for k, v in self.parameters.items() if " " in v and not QUOTED.match(v)]
        if cut:
            raise StackConfigError(
                f"{file.name}: SAM ends a value at a blank unless it is in quotes, "
                f'Name=\\"a value\\": {"; ".join(cut)}'
            )
        plain = {k: QUOTED.sub(r"\1", v) for k, v in self.parameters.items()}
        return replace(self, parameters=plain)

    def dry_run(self) -> StackConfig:
        """The same beside it, as a stack that only plans."""
        kept = {k: v for k, v in self.parameters.items() if k not in KEEPS_APART}
        stack = self.stack.removesuffix(DRY_RUN) + DRY_RUN
        return StackConfig(self.name, stack, self.region, {**kept, "DryRun": "true"})
