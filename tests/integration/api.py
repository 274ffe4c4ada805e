# SPDX-License-Identifier: Apache-2.0
"""HTTP over a unix socket, and the schemas of docs/openapi.yaml by hand: each checker wants exactly the documented
fields, none missing and none more."""

import base64
import functools
import http.client
import json
import re
import socket

from places import ROOT


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path, timeout):
        super().__init__("tee", timeout=timeout)
        self.path = str(path)

    def connect(self):
        self.sock = unix_connect(self.path, self.timeout)


def unix_connect(path, timeout=10):
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    sock.settimeout(timeout)
    try:
        sock.connect(str(path))
    except OSError:
        sock.close()
        raise
    return sock


class Response:
    def __init__(self, status, headers, body):
        self.status = status
        self.headers = {name.lower(): value for name, value in headers}
        self.body = body

    @property
    def json(self):
        return json.loads(self.body.decode("utf-8"), object_pairs_hook=object_without_duplicates)

    @property
    def error(self):
        return self.json["error"]

    def __repr__(self):
        return f"HTTP {self.status} {self.body[:2000]!r}"


def object_without_duplicates(pairs):
    keys = [key for key, _ in pairs]
    if len(set(keys)) != len(keys):
        raise ValueError(f"an object has a key twice: {keys}")
    return dict(pairs)


def http_request(path, method, target, body=None, headers=None, timeout=60):
    connection = UnixConnection(path, timeout)
    try:
        connection.request(method, target, body=body, headers=headers or {})
        answer = connection.getresponse()
        return Response(answer.status, answer.getheaders(), answer.read())
    finally:
        connection.close()


def as_bytes(text):
    """The bytes of a Text of the API: a string or {"base64": …}."""
    if isinstance(text, str):
        return text.encode("utf-8")
    assert set(text) == {"base64"}, text
    return base64.b64decode(text["base64"], validate=True)


def as_base64(data):
    return {"base64": base64.b64encode(data).decode("ascii")}


# --- the schemas ---

OUTCOMES = {"ok", "error", "signal", "wall_limit", "cpu_limit", "memory_limit", "output_limit", "process_limit",
            "disk_limit", "cancelled", "sandbox_crash", "internal_error"}


def is_integer(value):
    return isinstance(value, int) and not isinstance(value, bool)


def is_number(value):
    return isinstance(value, (int, float)) and not isinstance(value, bool) and value >= 0


def is_string(value):
    return isinstance(value, str)


def is_boolean(value):
    return isinstance(value, bool)


def is_text(value):
    return is_string(value) or (isinstance(value, dict) and set(value) == {"base64"} and is_string(value["base64"]))


def is_labels(value):
    return isinstance(value, dict) and all(is_string(item) for item in value.values())


def nullable(check):
    return lambda value: value is None or check(value)


def is_object(fields):
    """An object with exactly these fields."""

    def check(value):
        if not isinstance(value, dict) or set(value) != set(fields):
            raise AssertionError(f"fields are {sorted(value)}, should be {sorted(fields)}")
        for name, field_check in fields.items():
            if not field_check(value[name]):
                raise AssertionError(f"{name} is {value[name]!r}")
        return True

    return check


RESULT_FIELDS = {
    "id": is_string,
    "status": OUTCOMES.__contains__,
    "exit_code": nullable(is_integer),
    "signal": nullable(is_string),
    "stdout": is_text,
    "stderr": is_text,
    "stdout_bytes": is_integer,
    "stdout_truncated": is_boolean,
    "stderr_bytes": is_integer,
    "stderr_truncated": is_boolean,
    "timing": is_object({"queue_ms": is_number, "setup_ms": is_number, "run_ms": is_number, "total_ms": is_number}),
    "usage": nullable(is_object({"cpu_ms": is_number, "memory_peak_bytes": is_integer})),
    "sandbox": is_object({"gvisor": is_boolean, "oci_runtime": is_string, "kernel": is_string, "warm": is_boolean}),
    "labels": is_labels,
    "cause": nullable(is_string),
    "evidence": nullable(is_string),
}

STATUS_FIELDS = {
    "version": is_string,
    "gate": is_object({"state": {"checking", "open", "shut"}.__contains__, "code": nullable(is_string),
                       "reason": nullable(is_string), "remedy": nullable(is_string)}),
    "gvisor": is_object({"enabled": is_boolean, "oci_runtime": is_string, "kernel": nullable(is_string)}),
    "docker": is_object({"version": nullable(is_string), "api_version": nullable(is_string)}),
    "runtimes": lambda value: all(is_runtime(one) for one in value.values()),
    "executions": is_object({"running": is_integer, "queued": is_integer, "max_running": is_integer,
                             "queue_length": is_integer, "ended": is_integer, "refused": is_integer}),
}

is_runtime = is_object({"image": is_string, "available": is_boolean, "code": nullable(is_string),
                        "reason": nullable(is_string), "remedy": nullable(is_string),
                        "pool": is_object({"warm": is_integer, "ready": is_integer, "creating": is_integer,
                                           "failures": is_integer})})


def check_result(result, streamed=False):
    """Has the result exactly the fields of the schema? A streamed one's outputs are null."""
    fields = dict(RESULT_FIELDS)
    if streamed:
        fields["stdout"] = fields["stderr"] = lambda value: value is None
    is_object(fields)(result)


def check_status(status):
    is_object(STATUS_FIELDS)(status)


@functools.lru_cache(maxsize=None)
def documented_codes():
    """The codes of a refusal that docs/openapi.yaml lists."""
    text = (ROOT / "docs" / "openapi.yaml").read_text(encoding="utf-8")
    refusal = text[text.index("\n    Refusal:\n", text.index("\n  schemas:\n")):]
    codes = set(re.findall(r"^ +- ([a-z_0-9]+)", refusal[refusal.index("enum:"):], re.MULTILINE))
    assert {"invalid_json", "not_gvisor"} <= codes, codes
    return codes


def check_refusal(answer):
    """A refusal has exactly the documented form, and what may be sent again says when."""
    is_object({"error": is_object({"code": documented_codes().__contains__, "message": is_string,
                                   "field": nullable(is_string), "remedy": nullable(is_string)})})(answer.json)
    if answer.headers.get("content-type", "").split(";")[0] != "application/json":
        raise AssertionError(f"content type {answer.headers.get('content-type')}")
    if answer.status in (429, 503) and int(answer.headers["retry-after"]) < 1:
        raise AssertionError(f"Retry-After: {answer.headers['retry-after']}")
