"""Independent decoders and encoders of remote write 1.0, Loki push and OTLP: python3-protobuf over the .proto files here.

Decoding (of bytes as they are on the wire after decompression; unsnappy() and decompress() undo it):
    samples(data)   -> [Sample(labels: dict, ms, value)]         of a remote write request, in its order
    lines(data)     -> [Line(labels: dict, ns, text: bytes)]     of a Loki push request, in its order
    spans(data)     -> [Span(resource: dict, scope, trace_id hex, span_id hex, name, message)]
    write_request(data), push_request(data), trace_request(data) -> the whole messages
    plain_body(path, headers, data), body(path, headers, data) -> protobuf bytes, decoded list, by the request's path
Encoding (not compressed; snappy() compresses as a block, join_snappy() joins blocks by copying their bodies):
    encode_write([(labels, [(ms, value), ...]), ...])    labels: a dict, or a list of pairs to repeat or disorder names
    encode_write_2([...])                                the same as remote write 2.0
    encode_push([(labels, [(ns, text), ...]), ...])      labels: a dict, or the label string itself
    encode_trace(service, [(trace_id hex, span_id hex, name), ...], attributes={}, start_ns=None)
    encode_otlp("metrics", {...}), encode_otlp("logs", {...})    the request as protobuf's JSON mapping has it, in dicts
    attributes({"key": value})                           a list of KeyValue for it: str, bool, int, float, bytes, list, dict
Texts may be str or bytes (invalid UTF-8 included).
"""

import atexit
import base64
import gzip
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import zlib
from typing import NamedTuple

import snappy as _snappy
from google.protobuf import json_format


def _compile():
    here = os.path.dirname(os.path.abspath(__file__))
    out = tempfile.mkdtemp(prefix="tributary-protos-")
    atexit.register(shutil.rmtree, out, ignore_errors=True)
    names = ("remote_write", "remote_write_2", "loki_push", "otlp")
    subprocess.run(["protoc", f"--proto_path={here}", f"--python_out={out}", *[n + ".proto" for n in names]], check=True)
    sys.path.insert(0, out)
    try:
        return [__import__(n + "_pb2") for n in names]
    finally:
        sys.path.remove(out)


_write, _write_2, _push, _otlp = _compile()


class Sample(NamedTuple):
    labels: dict
    ms: int
    value: float


class Line(NamedTuple):
    labels: dict
    ns: int
    text: bytes


class Span(NamedTuple):
    resource: dict
    scope: str
    trace_id: str
    span_id: str
    name: str
    message: object


def snappy(data):
    """One snappy block."""
    return _snappy.compress(data)


def join_snappy(blocks):
    """One block of several: the lengths (varints at their beginning) are summed, the bodies copied as they are."""
    total, bodies = 0, []
    for block in blocks:
        at = next(i for i, byte in enumerate(block) if byte < 0x80) + 1
        total += sum((byte & 0x7F) << (7 * i) for i, byte in enumerate(block[:at]))
        bodies.append(block[at:])
    length = bytearray()
    while total >= 0x80:
        length.append(total & 0x7F | 0x80)
        total >>= 7
    return bytes(length) + bytes([total]) + b"".join(bodies)


def unsnappy(data):
    return _snappy.decompress(data)


def decompress(encoding, data):
    """Undoes a Content-Encoding: snappy (block), gzip, deflate or none."""
    if encoding == "snappy":
        return unsnappy(data)
    if encoding == "gzip":
        return gzip.decompress(data)
    if encoding == "deflate":
        return zlib.decompress(data)
    assert encoding in ("", "identity", None), encoding
    return data


def write_request(data):
    return _write.WriteRequest.FromString(data)


def push_request(data):
    return _push.PushRequest.FromString(data)


def trace_request(data):
    return _otlp.ExportTraceServiceRequest.FromString(data)


def samples(data):
    result = []
    for series in write_request(data).timeseries:
        labels = {_text(l.name): _text(l.value) for l in series.labels}
        result += [Sample(labels, s.timestamp, s.value) for s in series.samples]
    return result


def lines(data):
    result = []
    for stream in push_request(data).streams:
        labels = parse_labels(_text(stream.labels))
        result += [Line(labels, e.timestamp.seconds * 10**9 + e.timestamp.nanos, e.line) for e in stream.entries]
    return result


def spans(data):
    result = []
    for resource in trace_request(data).resource_spans:
        attributes = {a.key: value(a.value) for a in resource.resource.attributes}
        for scope in resource.scope_spans:
            result += [Span(attributes, scope.scope.name, s.trace_id.hex(), s.span_id.hex(), s.name, s) for s in scope.spans]
    return result


def value(any_value):
    """The Python value of an OTLP AnyValue."""
    kind = any_value.WhichOneof("value")
    if kind is None:
        return None
    found = getattr(any_value, kind)
    if kind == "array_value":
        return [value(v) for v in found.values]
    if kind == "kvlist_value":
        return {v.key: value(v.value) for v in found.values}
    return found


_PAIR = re.compile(r'\s*([A-Za-z_][A-Za-z0-9_]*)\s*=\s*"((?:[^"\\]|\\.)*)"\s*(,|$)')
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "a": "\a", "b": "\b", "f": "\f", "v": "\v"}


def parse_labels(text):
    """{a="b", c="d"} as a dict; ValueError when it is not that. Escapes as in a Go string."""
    text = text.strip()
    if not (text.startswith("{") and text.endswith("}")):
        raise ValueError(f"not a label set: {text!r}")
    inner, at, labels = text[1:-1].rstrip(), 0, {}
    while at < len(inner):
        pair = _PAIR.match(inner, at)
        if not pair:
            raise ValueError(f"not a label set: {text!r}")
        labels[pair[1]] = _unescape(pair[2])
        at = pair.end()
    return labels


def _unescape(text):
    def one(match):
        escape = match[1]
        if escape[0] in "xuU":
            return chr(int(escape[1:], 16))
        return _ESCAPES.get(escape, escape)
    return re.sub(r"\\(x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|.)", one, text)


def _text(data):
    return data.decode("utf-8", errors="surrogateescape")


def _bytes(text):
    return text if isinstance(text, bytes) else text.encode("utf-8", errors="surrogateescape")


def encode_write(series):
    request = _write.WriteRequest()
    for labels, points in series:
        one = request.timeseries.add()
        for name, label_value in labels.items() if isinstance(labels, dict) else labels:
            one.labels.add(name=_bytes(name), value=_bytes(label_value))
        for ms, number in points:
            one.samples.add(timestamp=ms, value=number)
    return request.SerializeToString()


def encode_write_2(series):
    """A remote write 2.0 request; texts are str."""
    request = _write_2.Request(symbols=[""])
    place = {"": 0}
    for labels, points in series:
        one = request.timeseries.add()
        for text in [t for pair in sorted(labels.items()) for t in pair]:
            if text not in place:
                place[text] = len(request.symbols)
                request.symbols.append(text)
            one.labels_refs.append(place[text])
        for ms, number in points:
            one.samples.add(timestamp=ms, value=number)
    return request.SerializeToString()


def format_labels(labels):
    """A dict as a Loki label string."""
    def quote(text):
        return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return "{" + ", ".join(f'{k}="{quote(v)}"' for k, v in sorted(labels.items())) + "}"


def encode_push(streams):
    request = _push.PushRequest()
    for labels, entries in streams:
        one = request.streams.add(labels=_bytes(format_labels(labels) if isinstance(labels, dict) else labels))
        for ns, text in entries:
            entry = one.entries.add(line=_bytes(text))
            entry.timestamp.seconds, entry.timestamp.nanos = divmod(ns, 10**9)
    return request.SerializeToString()


def encode_trace(service, spans_of, attributes=None, start_ns=None):
    start = start_ns if start_ns is not None else time.time_ns()
    request = _otlp.ExportTraceServiceRequest()
    resource = request.resource_spans.add()
    for key, text in {"service.name": service, **(attributes or {})}.items():
        resource.resource.attributes.add(key=key).value.string_value = text
    scope = resource.scope_spans.add()
    scope.scope.name = "tributary-tests"
    for trace_id, span_id, name in spans_of:
        scope.spans.add(trace_id=bytes.fromhex(trace_id), span_id=bytes.fromhex(span_id), name=name, kind=2,
                        start_time_unix_nano=start, end_time_unix_nano=start + 1000000)
    return request.SerializeToString()


def attributes(pairs):
    return [{"key": key, "value": _any(one)} for key, one in pairs.items()]


def _any(one):
    if isinstance(one, dict):
        return {"kvlistValue": {"values": attributes(one)}}
    if isinstance(one, list):
        return {"arrayValue": {"values": [_any(each) for each in one]}}
    if isinstance(one, bytes):
        return {"bytesValue": base64.b64encode(one).decode()}
    kind = {bool: "boolValue", int: "intValue", float: "doubleValue", str: "stringValue"}[type(one)]
    return {kind: str(one) if kind == "intValue" else one}


def encode_otlp(signal, request):
    kind = {"metrics": _otlp.ExportMetricsServiceRequest, "logs": _otlp.ExportLogsServiceRequest}[signal]
    return json_format.ParseDict(request, kind()).SerializeToString()


def plain_body(path, headers, data):
    """A request's body as protobuf. Loki's push and remote write are snappy blocks also where no header says so."""
    encoding = headers.get("Content-Encoding", "")
    if not encoding and path.endswith(("/api/v1/push", "/write")):
        encoding = "snappy"
    return decompress(encoding, data)


def body(path, headers, data):
    """The decoded records of a request by its path: samples, lines or spans; ValueError for another path."""
    decoders = {"/api/v1/push": lines, "/write": samples, "/v1/traces": spans}
    for ending, decoder in decoders.items():
        if path.endswith(ending):
            return decoder(plain_body(path, headers, data))
    raise ValueError(f"no decoder for {path}")
