"""The AWS command line as far as the documentation uses it: it is not installed, and there is no account.

Commands are read by the service models that the command line itself is made from (botocore's): the operation, each
option's type, what is required, the shorthand `Key=a,Values=b,c`, `file://`, `--query`, `--output`. What an operation
answers comes from a function given here, or from a client (moto, the emulator). `Shell` runs text in bash with this as
`aws` on its PATH. Source: AWS Command Line Interface User Guide, version 2.
"""

from __future__ import annotations

import contextlib
import json
import os
import stat
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from socketserver import StreamRequestHandler, ThreadingTCPServer
from typing import Any

import botocore.session
import jmespath  # type: ignore[import-untyped] # it has no types
from botocore import xform_name
from botocore.model import OperationModel
from botocore.validate import ParamValidator

GLOBAL = {"query", "output", "region", "cli-input-json", "cli-binary-format"}
"""Options of the command line itself."""
OUTPUTS = {"json", "text", "table"}
_SESSION = botocore.session.get_session()

Answer = Callable[[dict[str, Any]], Mapping[str, Any]]
"""An operation's answer to its parameters."""


class CliError(Exception):
    """The command line would refuse this."""


@dataclass(frozen=True)
class Command:
    """One command, read.

    Attributes:
        service: as botocore names it.
        operation: as the service's API names it.
        given: its parameters.
        options: those of the command line itself.
        outfile: where the answer's body goes (`aws lambda invoke`).
    """

    service: str
    operation: str
    given: dict[str, Any]
    options: dict[str, str]
    outfile: str | None = None


def read(words: list[str], folder: Path = Path()) -> Command:
    """Read a command without the word `aws`; raises CliError where the command line would refuse it."""
    service, name, *rest = words
    operation = _operation(service, name)
    shape = operation.input_shape
    members = {} if shape is None else {xform_name(one, "-"): one for one in shape.members}
    given: dict[str, Any] = {}
    options: dict[str, str] = {}
    outfile = None
    for word, values in _grouped(rest, {one for one in members if _is_list(shape, members[one])}):
        option = word.removeprefix("--")
        if option in GLOBAL:
            (options[option],) = values
        elif word != option and option in members and shape is not None:
            given[members[option]] = _value(shape.members[members[option]], values, option)
        elif word == option and operation.has_streaming_output and outfile is None:
            outfile = word
        else:
            raise CliError(f"{service} {name} does not know {word}")
    if file := options.get("cli-input-json"):
        given = json.loads((folder / file.removeprefix("file://")).read_text()) | given
    if options.get("output", "json") not in OUTPUTS:
        raise CliError(f"no output {options['output']}")
    if operation.has_streaming_output and not outfile:
        raise CliError(f"{service} {name} needs a file")
    report = ParamValidator().validate(given, shape) if shape is not None else None
    if report and report.has_errors():
        raise CliError(f"{service} {name}: {report.generate_report()}")
    jmespath.compile(options.get("query", "@"))
    return Command(service, operation.name, given, options, outfile)


def _operation(service: str, name: str) -> OperationModel:
    if service not in _SESSION.get_available_services():
        raise CliError(f"no service {service}")
    model = _SESSION.get_service_model(service)
    names = {xform_name(one, "-"): one for one in model.operation_names}
    if name not in names:
        raise CliError(f"{service} has no operation {name}")
    return model.operation_model(names[name])


def _grouped(words: list[str], many: set[str]) -> Iterator[tuple[str, list[str]]]:
    """Each option with its values; a word that belongs to none, alone."""
    while words:
        word, values = words.pop(0), list[str]()
        is_option = word.startswith("--")
        while is_option and words and not words[0].startswith("--"):
            if values and word[2:] not in many:
                break
            values.append(words.pop(0))
        yield word, values


def _is_list(shape: Any, member: str) -> bool:
    return bool(shape.members[member].type_name == "list")


def _value(shape: Any, values: list[str], option: str) -> Any:
    kind = shape.type_name
    if kind == "boolean":
        if values:
            raise CliError(f"--{option} takes no value")
        return True
    if not values:
        raise CliError(f"--{option} needs a value")
    if kind in {"list", "structure", "map"} and values[0][:1] in {"[", "{"}:
        (text,) = values
        return json.loads(text)
    if kind == "list":
        return [_item(shape.member, one) for one in values]
    (text,) = values
    return _item(shape, text)


def _item(shape: Any, text: str) -> Any:
    match shape.type_name:
        case "integer" | "long":
            return int(text)
        case "string" | "timestamp":
            return text
        case "blob":
            return text.encode()
        case "structure":
            return _shorthand(shape, text)
    raise NotImplementedError(shape.type_name)


def _shorthand(shape: Any, text: str) -> dict[str, Any]:
    """`Name=a,Values=b,c`: what has no key goes on with the list before it."""
    read: dict[str, Any] = {}
    key = ""
    for piece in text.split(","):
        name, is_pair, value = piece.partition("=")
        if not is_pair:
            read[key].append(piece)
            continue
        key = name
        if key not in shape.members:
            raise CliError(f"there is no {key} in {text!r}")
        is_list = shape.members[key].type_name == "list"
        read[key] = [value] if is_list else _item(shape.members[key], value)
    return read


def shown(answer: Mapping[str, Any], options: Mapping[str, str]) -> str:
    """What the command line prints; of a table, the values."""
    data: Any = json.loads(json.dumps(answer, default=str))
    if "query" in options:
        data = jmespath.search(options["query"], data)
    if options.get("output", "json") == "json":
        return json.dumps(data, indent=4)
    return "\n".join("\t".join(row) for row in _rows(data))


def _rows(data: Any) -> Iterator[list[str]]:
    """Output `text`: a list of lists is a line each, a list of values is one line."""
    if isinstance(data, dict):
        data = [data[key] for key in sorted(data)]
    if not isinstance(data, list):
        yield ["None" if data is None else str(data)]
        return
    if plain := [
        "None" if one is None else str(one) for one in data if not isinstance(one, list | dict)
    ]:
        yield plain
    for one in data:
        if isinstance(one, list | dict):
            yield from _rows(one)


@dataclass
class Shell:
    """bash with `aws` on its PATH.

    Args:
        folder: where the commands run; the program is put into it.
        answers: by (service, operation); an operation that is not there is asked of `client`.
        client: a client of a service; None: such an operation answers nothing.
    """

    folder: Path
    answers: dict[tuple[str, str], Answer] = field(default_factory=dict)
    client: Callable[[str], Any] | None = None
    asked: list[Command] = field(default_factory=list)

    def run(self, text: str, **variables: str) -> str:
        """What the commands print; raises AssertionError where one ends with an error."""
        with self._listening() as address:
            program = self.folder / "bin" / "aws"
            program.parent.mkdir(exist_ok=True)
            program.write_text(_PROGRAM.format(python=sys.executable, port=address))
            program.chmod(program.stat().st_mode | stat.S_IXUSR)
            done = subprocess.run(
                ["bash", "-euo", "pipefail", "-c", text],
                cwd=self.folder,
                env={**os.environ, "PATH": f"{program.parent}:{os.environ['PATH']}", **variables},
                capture_output=True,
                text=True,
                check=False,
                timeout=110,
            )
        assert done.returncode == 0, f"{text}\n{done.stdout}{done.stderr}"
        return done.stdout

    @contextlib.contextmanager
    def _listening(self) -> Iterator[int]:
        shell = self

        class Handler(StreamRequestHandler):
            def handle(self) -> None:
                try:
                    told = (0, shell._answer(json.loads(self.rfile.readline())))
                except Exception as error:  # noqa: BLE001 - whatever it is, the command shows it
                    told = (254, f"{type(error).__name__}: {error}")
                self.wfile.write(json.dumps(told).encode())

        with ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
            threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
            try:
                yield server.server_address[1]
            finally:
                server.shutdown()

    def _answer(self, words: list[str]) -> str:
        command = read(words, self.folder)
        self.asked.append(command)
        own = self.answers.get((command.service, command.operation))
        answer: Mapping[str, Any] = {}
        if own is not None:
            answer = own(command.given)
        elif self.client is not None:
            method = getattr(self.client(command.service), xform_name(command.operation))
            answer = {k: v for k, v in method(**command.given).items() if k != "ResponseMetadata"}
        if command.outfile is not None:
            payload = answer.get("Payload", b"")
            (self.folder / command.outfile).write_bytes(payload)
            answer = {k: v for k, v in answer.items() if k != "Payload"}
        return shown(answer, command.options) if answer or "query" in command.options else ""


_PROGRAM = """#!{python} -SI
import json, socket, sys
with socket.create_connection(("127.0.0.1", {port}), 50) as asked:
    asked.sendall(json.dumps(sys.argv[1:]).encode() + b"\\n")
    code, text = json.load(asked.makefile())
print(text, file=sys.stderr if code else sys.stdout)
sys.exit(code)
"""
