"""AWS's three wire protocols, driven by botocore's service models.

A handler takes and returns plain dicts in the shape that boto3 shows; what they look like on the wire
is the model's business. A key that the model does not know is a mistake in the emulator and raises.
"""

import functools
import json
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Protocol, cast
from urllib.parse import parse_qsl
from xml.sax.saxutils import escape

import botocore.session
from botocore.model import ListShape, MapShape, OperationModel, ServiceModel, Shape, StructureShape

from tools.ec2_emulator.errors import AwsError

Node = dict[str, Any]
Writer = Callable[[Any, str, list[str]], None]


class Wire(Protocol):
    """One service's way to read a request and to write an answer."""

    content_type: str

    def operation(self, headers: Mapping[str, str], body: bytes) -> str: ...
    def parse(self, operation: str, body: bytes) -> dict[str, Any]: ...
    def answer(self, operation: str, output: Mapping[str, Any], request_id: str) -> bytes: ...
    def error(self, error: AwsError, request_id: str) -> bytes: ...


@functools.cache
def wire(service: str) -> Wire:
    """The protocol of a service, from its model; cached, since EC2's model takes most of a second."""
    model = botocore.session.get_session().get_service_model(service)
    kinds: dict[str, Callable[[ServiceModel], Wire]] = {
        "ec2": Ec2Wire,
        "query": QueryWire,
        "json": JsonWire,
    }
    return kinds[str(model.protocol)](model)


def operation_model(model: ServiceModel, name: str) -> OperationModel:
    if name not in model.operation_names:
        raise AwsError("InvalidAction", f"The action {name} is not valid for this web service.")
    return model.operation_model(name)


class QueryWire:
    """Form in, XML out, as Auto Scaling speaks it."""

    content_type = "text/xml;charset=UTF-8"

    def __init__(self, model: ServiceModel) -> None:
        self.model = model
        self.namespace = str(model.metadata["xmlNamespace"]).rstrip("/") + "/"

    def operation(self, headers: Mapping[str, str], body: bytes) -> str:
        return _form(body).get("Action", "")

    def parse(self, operation: str, body: bytes) -> dict[str, Any]:
        shape = operation_model(self.model, operation).input_shape
        tree = _tree((k, v) for k, v in _form(body).items() if k not in {"Action", "Version"})
        return {} if shape is None else cast("dict[str, Any]", self._read(shape, tree, ""))

    def answer(self, operation: str, output: Mapping[str, Any], request_id: str) -> bytes:
        result = self._body(operation, output, f"{operation}Result")
        metadata = f"<ResponseMetadata><RequestId>{request_id}</RequestId></ResponseMetadata>"
        return self._envelope(f"{operation}Response", result + metadata)

    def error(self, error: AwsError, request_id: str) -> bytes:
        fault = "Sender" if error.status < 500 else "Receiver"
        inner = f"<Error><Type>{fault}</Type>{_error_fields(error)}</Error><RequestId>{request_id}</RequestId>"
        return self._envelope("ErrorResponse", inner)

    def _envelope(self, tag: str, inner: str) -> bytes:
        return f'<?xml version="1.0" encoding="UTF-8"?>\n<{tag} xmlns="{self.namespace}">{inner}</{tag}>'.encode()

    def _body(self, operation: str, output: Mapping[str, Any], tag: str) -> str:
        parts: list[str] = []
        shape = operation_model(self.model, operation).output_shape
        if shape is not None:
            _writer(shape)(output, tag, parts)
        return "".join(parts)

    def _name(self, shape: Shape, default: str) -> str:
        return str(shape.serialization.get("name", default))

    def _items(self, shape: ListShape, node: Node) -> Node:
        if shape.serialization.get("flattened"):
            return node
        return cast("Node", node.get(self._name(shape.member, "member"), {}))

    def _read(self, shape: Shape, node: Any, path: str) -> Any:
        if isinstance(shape, StructureShape):
            names = {self._name(member, key): key for key, member in shape.members.items()}
            for key in node:
                if key not in names:
                    name = f"{path}.{key}".lstrip(".")
                    raise AwsError("UnknownParameter", f"The parameter {name} is not recognized")
            return {
                names[key]: self._read(shape.members[names[key]], value, f"{path}.{key}")
                for key, value in node.items()
            }
        if isinstance(shape, ListShape):
            items = self._items(shape, node)
            return [
                self._read(shape.member, items[key], f"{path}.{key}")
                for key in sorted(items, key=int)
            ]
        return _scalar(shape.type_name, node, path)


class Ec2Wire(QueryWire):
    """The query protocol's dialect that EC2 speaks."""

    def answer(self, operation: str, output: Mapping[str, Any], request_id: str) -> bytes:
        parts: list[str] = []
        shape = operation_model(self.model, operation).output_shape
        if shape is not None:
            _write_members(shape, output, parts)
        inner = f"<requestId>{request_id}</requestId>{''.join(parts)}"
        return self._envelope(f"{operation}Response", inner)

    def error(self, error: AwsError, request_id: str) -> bytes:
        inner = f"<Errors><Error>{_error_fields(error)}</Error></Errors><RequestID>{request_id}</RequestID>"
        return f'<?xml version="1.0" encoding="UTF-8"?>\n<Response>{inner}</Response>'.encode()

    def _name(self, shape: Shape, default: str) -> str:
        if "queryName" in shape.serialization:
            return str(shape.serialization["queryName"])
        name = super()._name(shape, default)
        return name[0].upper() + name[1:]

    def _items(self, shape: ListShape, node: Node) -> Node:
        return node


class JsonWire:
    """JSON both ways, the operation in a header."""

    def __init__(self, model: ServiceModel) -> None:
        self.model = model
        self.content_type = f"application/x-amz-json-{model.metadata['jsonVersion']}"

    def operation(self, headers: Mapping[str, str], body: bytes) -> str:
        return headers.get("X-Amz-Target", "").rpartition(".")[2]

    def parse(self, operation: str, body: bytes) -> dict[str, Any]:
        operation_model(self.model, operation)
        return cast("dict[str, Any]", json.loads(body or b"{}"))

    def answer(self, operation: str, output: Mapping[str, Any], request_id: str) -> bytes:
        return json.dumps(output, default=_json_time).encode()

    def error(self, error: AwsError, request_id: str) -> bytes:
        return json.dumps({"__type": error.code, "message": error.message, **error.extra}).encode()


def _json_time(value: object) -> float:
    if isinstance(value, datetime):
        return value.timestamp()
    raise TypeError(f"not for JSON: {value!r}")


def _form(body: bytes) -> dict[str, str]:
    return dict(parse_qsl(body.decode(), keep_blank_values=True))


def _tree(pairs: Iterable[tuple[str, str]]) -> Node:
    """`Filter.1.Name=x` as `{"Filter": {"1": {"Name": "x"}}}`."""
    root: Node = {}
    for dotted, value in pairs:
        *path, last = dotted.split(".")
        node = root
        for key in path:
            node = node.setdefault(key, {})
        node[last] = value
    return root


def _scalar(kind: str, text: str, path: str) -> Any:
    try:
        if kind == "boolean":
            return {"true": True, "false": False}[text.lower()]
        if kind in {"integer", "long"}:
            return int(text)
    except (KeyError, ValueError):
        message = f"Invalid value '{text}' for {path.lstrip('.')}. It is not a {kind}."
        raise AwsError("InvalidParameterValue", message) from None
    return text


def _error_fields(error: AwsError) -> str:
    return f"<Code>{escape(error.code)}</Code><Message>{escape(error.message)}</Message>"


def _text(kind: str, value: Any) -> str:
    if kind == "boolean":
        return "true" if value else "false"
    if kind == "timestamp":
        return cast("datetime", value).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")
    return escape(str(value))


def _write_members(shape: StructureShape, value: Mapping[str, Any], parts: list[str]) -> None:
    for key, item in value.items():
        if item is not None:
            member = shape.members[key]
            _writer(member)(item, str(member.serialization.get("name", key)), parts)


@functools.cache
def _writer(shape: Shape) -> Writer:
    """How a shape is written; cached, since looking into a shape costs more than writing a value."""
    if isinstance(shape, MapShape):
        raise NotImplementedError("no operation that the emulator knows answers with a map")
    if isinstance(shape, StructureShape):

        def write_structure(value: Any, tag: str, parts: list[str]) -> None:
            parts.append(f"<{tag}>")
            _write_members(shape, value, parts)
            parts.append(f"</{tag}>")

        return write_structure
    if isinstance(shape, ListShape):
        item_tag = str(shape.member.serialization.get("name", "member"))
        flattened = bool(shape.serialization.get("flattened"))
        write_item = _writer(shape.member)

        def write_list(value: Any, tag: str, parts: list[str]) -> None:
            if flattened:
                for item in value:
                    write_item(item, tag, parts)
                return
            parts.append(f"<{tag}>")
            for item in value:
                write_item(item, item_tag, parts)
            parts.append(f"</{tag}>")

        return write_list
    kind = shape.type_name

    def write_scalar(value: Any, tag: str, parts: list[str]) -> None:
        parts.append(f"<{tag}>{_text(kind, value)}</{tag}>")

    return write_scalar
