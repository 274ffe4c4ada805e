# SPDX-License-Identifier: Apache-2.0
"""Bad input gets the documented code and field, at once, and leaves the agent as it was."""

import collections
import contextlib
import json
import re
import select
import socket
import threading
import time

from api import UnixConnection, check_refusal, unix_connect
from engine import docker
from harness import AgentTestCase, Background
from places import is_sanitized, patience, wait_for

JSON = {"Content-Type": "application/json"}
RUN = "/v1/executions"


def program(**fields):
    return {"runtime": "sh", "code": "true", **fields}


def with_files(files, entry="main.sh"):
    return {"runtime": "sh", "files": files, "entry": entry}


class Body(AgentTestCase):
    """Documents that are refused. None of them may start anything."""

    def setUp(self):
        super().setUp()
        self.ended = self.count_ended()

    def tearDown(self):
        self.assertEqual(self.count_ended(), self.ended)

    def count_ended(self):
        return self.agent.get("/v1/status").json["executions"]["ended"]

    def assert_bad(self, request, code, field=None, status=400):
        begun = time.monotonic()
        answer = self.agent.post(request)
        self.assert_refusal(answer, status, code, field)
        self.assertLess(time.monotonic() - begun, patience(2))

    def test_body_that_is_no_json(self):
        for body in (b"hello", b"{runtime: 'sh'}", b"\x00", b"{'runtime': 1}", b"NaN", b"{}{}", b"{} x"):
            with self.subTest(body=body):
                self.assert_bad(body, "invalid_json")

    def test_empty_body(self):
        self.assert_bad(b"", "invalid_json")

    def test_truncated_body(self):
        body = json.dumps(program()).encode()
        for size in (1, len(body) // 2, len(body) - 1):
            with self.subTest(size=size):
                self.assert_bad(body[:size], "invalid_json")

    def test_body_that_is_not_utf8(self):
        for raw in (b"\xff", b"\xc3", b"\xed\xa0\x80", b"\xc0\xaf", b"\xf5\x80\x80\x80"):
            with self.subTest(raw=raw):
                self.assert_bad(b'{"runtime":"sh","code":"' + raw + b'"}', "invalid_utf8")

    def test_body_of_10_mb(self):
        self.assert_bad(program(code="x" * 10_000_000), "body_too_large", status=413)

    def test_body_one_byte_too_large(self):
        empty = len(json.dumps(program(code="")).encode())
        body = json.dumps(program(code="#" * (1024 * 1024 + 1 - empty))).encode()
        self.assertEqual(len(body), 1024 * 1024 + 1)
        self.assert_bad(body, "body_too_large", status=413)

    def test_body_nested_10000_deep(self):
        for pair in (b"[]", b'{"a":}'):
            opening, closing = pair[:-1], pair[-1:]
            with self.subTest(opening=opening):
                self.assert_bad(b'{"runtime":"sh","code":' + opening * 10000 + b"1" + closing * 10000 + b"}",
                                "invalid_json")
                self.assert_bad(opening * 10000, "invalid_json")

    def test_document_that_is_no_object(self):
        for body in (b"[]", b'"sh"', b"1", b"null", b"true"):
            with self.subTest(body=body):
                self.assert_bad(body, "invalid_json")

    def test_unknown_field(self):
        self.assert_bad(program(timeout=5), "unknown_field", "timeout")
        self.assert_bad(program(Limits={}), "unknown_field", "Limits")
        self.assert_bad(program(limits={"wall": 5}), "unknown_field", "limits.wall")
        self.assert_bad(program(stdin={"base64": "", "more": 1}), "invalid_field", "stdin")

    def test_duplicate_field(self):
        self.assert_bad(b'{"runtime":"sh","code":"true","code":"false"}', "duplicate_field", "code")
        self.assert_bad(b'{"runtime":"sh","code":"true","limits":{"wall_ms":1,"wall_ms":2}}', "duplicate_field",
                        "limits.wall_ms")
        self.assert_bad(b'{"runtime":"sh","code":"true","env":{"A":"1","A":"2"}}', "duplicate_field", 'env["A"]')
        self.assert_bad(b'{"runtime":"sh","entry":"a","files":{"a":"1","a":"2"}}', "duplicate_field", 'files["a"]')
        self.assert_bad(b'{"runtime":"sh","entry":"a","files":{"a":"1","\\u0061":"2"}}', "duplicate_field",
                        'files["a"]')

    def test_limit_out_of_range(self):
        largest = {"wall_ms": 300000, "cpu_ms": 300000, "memory_mb": 2048, "processes": 512, "output_kb": 16384,
                   "disk_mb": 1024}
        for name, most in largest.items():
            for value in (-1, 0, most + 1, 2 ** 31, 2 ** 32 + 1000, 2 ** 53 - 1):
                with self.subTest(name=name, value=value):
                    self.assert_bad(program(limits={name: value}), "out_of_range", f"limits.{name}")
        self.assert_bad(program(limits={"memory_mb": 31}), "out_of_range", "limits.memory_mb")

    def test_limit_of_the_wrong_type(self):
        for value in ("1000", 1.5, True, None, [], {}):
            with self.subTest(value=value):
                self.assert_bad(program(limits={"wall_ms": value}), "invalid_field", "limits.wall_ms")

    def test_limit_that_no_integer_holds(self):
        for number in (b"1e400", b"1e30", b"9999999999999999999999", b"9007199254740993", b"-9223372036854775808"):
            with self.subTest(number=number):
                answer = self.agent.post(b'{"runtime":"sh","code":"true","limits":{"wall_ms":' + number + b"}}")
                check_refusal(answer)
                self.assertEqual((answer.status, answer.error["field"]), (400, "limits.wall_ms"), answer)

    def test_field_of_the_wrong_type(self):
        wrong = {"runtime": 5, "code": ["true"], "args": "x", "env": [], "stdin": 5, "limits": [], "labels": "a"}
        for name, value in wrong.items():
            with self.subTest(name=name):
                self.assert_bad(program(**{name: value}), "invalid_field", name)
                self.assert_bad(program(**{name: None}), "invalid_field", name)
        self.assert_bad(program(args=["a", 1]), "invalid_field", "args[1]")
        self.assert_bad(program(env={"A": 1}), "invalid_field", 'env["A"]')
        self.assert_bad(program(labels={"A": None}), "invalid_field", 'labels["A"]')
        self.assert_bad({"runtime": "sh", "files": "x", "entry": "x"}, "invalid_field", "files")
        self.assert_bad(with_files({"main.sh": 1}), "invalid_field", 'files["main.sh"]')
        self.assert_bad(with_files({"main.sh": ""}, 1), "invalid_field", "entry")

    def test_base64_that_is_none(self):
        for text in ("=", "ab", "abc!", "YQ==YQ==", "YR==", " YQ==", "Y Q=", 5):
            with self.subTest(text=text):
                self.assert_bad(program(stdin={"base64": text}), "invalid_field", "stdin")
        self.assert_bad(program(stdin={}), "invalid_field", "stdin")
        self.assert_bad(with_files({"main.sh": {"base64": "x"}}), "invalid_field", 'files["main.sh"]')

    def test_runtime_that_does_not_exist(self):
        for name in ("python", "", "SH", "sh ", "../sh", "x" * 10000):
            with self.subTest(name=name):
                self.assert_bad(program(runtime=name), "unknown_runtime", "runtime")

    def test_missing_fields(self):
        self.assert_bad({"code": "true"}, "missing_field", "runtime")
        self.assert_bad({"runtime": "sh"}, "missing_field", "code")
        self.assert_bad({"runtime": "sh", "files": {"main.sh": ""}}, "missing_field", "entry")

    def test_code_and_files_together(self):
        self.assert_bad(program(files={"main.sh": ""}, entry="main.sh"), "conflicting_fields", "code")

    def test_entry_without_files(self):
        self.assert_bad(program(entry="main.sh"), "conflicting_fields", "entry")

    def test_entry_that_is_not_among_the_files(self):
        for entry in ("other.sh", "", "./main.sh", "/work/main.sh"):
            with self.subTest(entry=entry):
                self.assert_bad(with_files({"main.sh": ""}, entry), "invalid_field", "entry")

    def test_no_files_at_all(self):
        self.assert_bad(with_files({}), "invalid_field", "files")

    def test_path_that_leaves_the_work_folder(self):
        paths = ("../x", "a/../b", "a/..", "..", ".", "./a", "a/./b", "/etc/passwd", "/", "", "a//b", "a/", "a\nb",
                 "a\x7fb", "a\x01", "x" * 256, "/".join(["x" * 200] * 6))
        for path in paths:
            with self.subTest(path=path[:40]):
                self.assert_bad(with_files({"main.sh": "", path: ""}), "invalid_path", field_of("files", path))

    def test_path_with_nul(self):
        self.assert_bad(b'{"runtime":"sh","entry":"main.sh","files":{"main.sh":"","a\\u0000b":""}}', "invalid_json")

    def test_nul_anywhere(self):
        for field in ("code", "stdin", "runtime"):
            with self.subTest(field=field):
                self.assert_bad(program(**{field: "a\0b"}), "invalid_json")

    def test_path_that_is_a_folder_of_another(self):
        self.assert_bad(with_files({"main.sh": "", "a": "", "a/b": ""}), "invalid_path", 'files["a"]')
        self.assert_bad(with_files({"main.sh/x": "", "main.sh": ""}), "invalid_path", 'files["main.sh"]')

    def test_1000_files(self):
        self.assert_bad(with_files({f"f{i}": "" for i in range(1000)} | {"main.sh": ""}), "too_many", "files")
        self.assert_bad(with_files({f"f{i}": "" for i in range(256)} | {"main.sh": ""}), "too_many", "files")

    def test_too_many_arguments_variables_and_labels(self):
        self.assert_bad(program(args=["x"] * 257), "too_many", "args")
        self.assert_bad(program(env={f"A{i}": "" for i in range(257)}), "too_many", "env")
        self.assert_bad(program(labels={f"a{i}": "" for i in range(17)}), "too_many", "labels")

    def test_name_of_a_variable(self):
        for name in ("", "1A", "A B", "A=B", "Ä", "A-B"):
            with self.subTest(name=name):
                self.assert_bad(program(env={name: "x"}), "invalid_field", f'env["{name}"]')

    def test_labels_that_are_too_long(self):
        self.assert_bad(program(labels={"x" * 257: ""}), "out_of_range", field_of("labels", "x" * 257))
        self.assert_bad(program(labels={"a": "ü" * 129}), "out_of_range", 'labels["a"]')

    def test_argument_and_variable_that_are_too_long(self):
        self.assert_bad(program(args=["a", "x" * 65537]), "out_of_range", "args[1]")
        self.assert_bad(program(env={"A": "x" * 65535}), "out_of_range", 'env["A"]')


def field_of(name, key):
    """How a refusal names the key of a client's object; a long one is cut."""
    return f'{name}["{key[:128]}"]'


class Protocol(AgentTestCase):
    """HTTP that is wrong, slow, or only rare."""

    changes = {"http": {"request_ms": 1000, "max_connections": 64}}

    def raw(self, data, timeout=10):
        """Sends bytes and returns all that comes back until the agent closes."""
        with unix_connect(self.agent.socket, patience(timeout)) as sock:
            sock.sendall(data)
            return read_to_end(sock)

    def test_wrong_path(self):
        for path in ("/", "/v1", "/v2/executions", "/v1/executions/", "/v1/executions/../status", "/healthz/x",
                     "/metrics2", "/%2e%2e/etc/passwd", "/v1/Executions"):
            with self.subTest(path=path):
                self.assert_refusal(self.agent.get(path), 404, "not_found")

    def test_wrong_method(self):
        cases = [("GET", RUN, "POST"), ("PUT", RUN, "POST"), ("DELETE", RUN, "POST"), ("POST", "/healthz", "GET"),
                 ("POST", "/v1/status", "GET"), ("PATCH", "/v1/status", "GET"), ("OPTIONS", RUN, "POST"),
                 ("BREW", RUN, "POST")]
        for method, path, allowed in cases:
            with self.subTest(method=method, path=path):
                answer = self.agent.request(method, path, headers=JSON)
                self.assert_refusal(answer, 405, "method_not_allowed")
                self.assertIn(allowed, answer.headers["allow"])

    def test_head_is_get_without_a_body(self):
        for path in ("/healthz", "/v1/status"):
            answer = self.agent.request("HEAD", path)
            self.assertEqual((answer.status, answer.body), (200, b""))

    def test_wrong_content_type(self):
        body = json.dumps(program()).encode()
        for kind in ("text/plain", "application/x-www-form-urlencoded", "application/jsonp", "multipart/form-data",
                     "json", ""):
            with self.subTest(kind=kind):
                answer = self.agent.request("POST", RUN, body, {"Content-Type": kind})
                self.assert_refusal(answer, 415, "unsupported_media_type")

    def test_missing_content_type(self):
        answer = self.agent.request("POST", RUN, json.dumps(program()).encode())
        self.assert_refusal(answer, 415, "unsupported_media_type")

    def test_content_type_in_its_other_spellings(self):
        body = json.dumps(program()).encode()
        for kind in ("application/json; charset=utf-8", "Application/JSON", "application/json;charset=UTF-8"):
            with self.subTest(kind=kind):
                self.assertEqual(self.agent.request("POST", RUN, body, {"Content-Type": kind}).status, 200)

    def test_query_that_is_not_known(self):
        for query, field in (("?stream=2", "stream"), ("?stream=", "stream"), ("?stream", "stream"),
                             ("?Stream=1", "Stream"), ("?wall_ms=5", "wall_ms"), ("?stream=1&x=y", "x")):
            with self.subTest(query=query):
                self.assert_refusal(self.agent.post(program(), query), 400, "invalid_query", field)

    def test_malformed_http_ends_the_connection(self):
        """At once: the time for a request is not waited for."""
        for data in (b"hello\r\n\r\n", b"GET\r\n\r\n",
                     b"POST /v1/executions HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n",
                     b"POST /v1/executions HTTP/1.1\r\nHost: x\r\nContent-Length: x\r\n\r\n",
                     b"GET / HTTP/9.9\r\n\r\n", b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n"):
            with self.subTest(data=data[:60]):
                self.assert_answered_or_closed(data, patience(5), b" 408 ")

    def test_bytes_that_are_no_text_end_the_connection(self):
        """For all that the server can tell these may be half a request, so they get its time."""
        for data in (b"\0" * 100, b"\0\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"):
            with self.subTest(data=data[:60]):
                self.assert_answered_or_closed(data, patience(2))

    def assert_answered_or_closed(self, data, seconds, not_with=b"no answer has this"):
        begun = time.monotonic()
        answer = self.raw(data)
        self.assertLess(time.monotonic() - begun, seconds)
        if answer:
            self.assertRegex(answer, rb"^HTTP/1\.[01] [45]\d\d ")
        self.assertNotIn(not_with, answer)

    def test_header_that_never_ends_is_bounded(self):
        begun = time.monotonic()
        sent = 0
        with unix_connect(self.agent.socket, patience(10)) as sock:
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                sent += sock.send(b"GET /healthz HTTP/1.1\r\nHost: x\r\n")
                while sent < 2_000_000:
                    sent += sock.send(b"X-%d: %s\r\n" % (sent, b"y" * 1000))
            answer = read_to_end(sock)
        self.assertLess(time.monotonic() - begun, patience(5))
        self.assertLess(sent, 1_000_000, "all of it was taken")
        self.assertRegex(answer, rb"^HTTP/1\.1 (400|413|431) ")

    def test_half_a_request_is_answered_with_408(self):
        half = b"POST /v1/executions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n" \
               b"Content-Length: 100\r\n\r\n{\"runtime\""
        begun = time.monotonic()
        answer = self.raw(half)
        self.assertLess(time.monotonic() - begun, patience(2))
        self.assertRegex(answer, rb"^HTTP/1\.1 408 ")
        self.assertIn(b'"request_timeout"', answer)

    def test_half_a_header_is_ended(self):
        for half in (b"", b"POST", b"POST /v1/executions HTTP/1.1\r\nHost: x\r\nContent-"):
            with self.subTest(half=half):
                begun = time.monotonic()
                answer = self.raw(half)
                self.assertGreater(time.monotonic() - begun, 0.9, "nobody could have sent the rest")
                self.assertLess(time.monotonic() - begun, patience(3))
                self.assertRegex(answer, rb"^HTTP/1\.1 408 ")

    def test_client_that_drips_bytes_is_ended(self):
        """request_ms is for the whole of it, not from byte to byte."""
        request = b"POST /v1/executions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n" \
                  b"Content-Length: 1000\r\n\r\n" + b" " * 1000
        begun = time.monotonic()
        with unix_connect(self.agent.socket, patience(10)) as sock:
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                for byte in request:
                    sock.sendall(bytes([byte]))
                    if select.select([sock], [], [], 0.05)[0]:
                        break
            answer = read_to_end(sock)
        self.assertGreater(time.monotonic() - begun, 0.9)
        self.assertLess(time.monotonic() - begun, patience(3))
        self.assertRegex(answer, rb"^HTTP/1\.1 408 ")

    def test_idle_connection_is_closed(self):
        connection = UnixConnection(self.agent.socket, patience(10))
        connection.request("GET", "/healthz")
        connection.getresponse().read()
        begun = time.monotonic()
        self.assertEqual(connection.sock.recv(1), b"")
        self.assertLess(time.monotonic() - begun, patience(3))
        connection.close()

    def test_long_execution_is_not_taken_for_a_slow_request(self):
        code = "await new Promise((done) => setTimeout(done, 2500)); console.log('done')"
        self.assertEqual(self.agent.run("deno", code)["stdout"], "done\n")

    def test_chunked_body(self):
        def parts():
            for byte in json.dumps(program(code="echo chunked")).encode():
                yield bytes([byte])

        answer = self.agent.request("POST", RUN, parts(), JSON)
        self.assertEqual((answer.status, answer.json["stdout"]), (200, "chunked\n"))

    def test_chunked_body_that_is_too_large(self):
        """Its size is not known from the head, but its client reads the answer when all is sent."""
        answer = self.agent.request("POST", RUN, (b" " * 65536 for _ in range(40)), JSON)
        self.assert_refusal(answer, 413, "body_too_large")
        self.assertEqual(self.agent.get("/healthz").status, 200)

    def test_chunked_body_without_end_is_ended(self):
        head = f"POST {RUN} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
        begun = time.monotonic()
        with unix_connect(self.agent.socket, patience(10)) as sock:
            sock.sendall(head.encode())
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                while time.monotonic() - begun < patience(5):
                    sock.sendall(b"10000\r\n" + b" " * 65536 + b"\r\n")
            answer = read_to_end(sock)
        self.assertLess(time.monotonic() - begun, patience(3))
        self.assertRegex(answer, rb"\A(HTTP/1\.1 (408|413) .*)?")

    def test_keep_alive_carries_several_requests(self):
        connection = UnixConnection(self.agent.socket, patience(30))
        for i in range(3):
            connection.request("POST", RUN, json.dumps(program(code=f"echo {i}")), JSON)
            answer = connection.getresponse()
            self.assertEqual(json.loads(answer.read())["stdout"], f"{i}\n")
            connection.request("POST", RUN, b"{}", JSON)
            self.assertEqual(json.loads(connection.getresponse().read())["error"]["code"], "missing_field")
        connection.close()

    def test_two_requests_in_one_write(self):
        one = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
        last = b"GET /v1/status HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        answer = self.raw(one + last)
        self.assertEqual(answer.count(b"HTTP/1.1 200 "), 2)
        self.assertIn(b'"runtimes"', answer)

    def test_expect_100_continue(self):
        body = json.dumps(program(code="echo later")).encode()
        head = f"POST {RUN} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n" \
               "Connection: close\r\nExpect: 100-continue\r\n\r\n"
        with unix_connect(self.agent.socket, patience(20)) as sock:
            sock.sendall(head.encode())
            first = sock.recv(4096)
            self.assertTrue(first.startswith(b"HTTP/1.1 100 "), first)
            sock.sendall(body)
            answer = read_to_end(sock)
        self.assertRegex(answer, rb"^HTTP/1\.1 200 ")
        self.assertIn(rb'"stdout":"later\n"', answer)

    def test_expect_100_continue_with_a_body_that_is_too_large(self):
        head = f"POST {RUN} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 10000000\r\n" \
               "Connection: close\r\nExpect: 100-continue\r\n\r\n"
        answer = self.raw(head.encode())
        self.assertRegex(answer, rb"^HTTP/1\.1 413 ")

    def test_http_1_0(self):
        body = json.dumps(program(code="echo old")).encode()
        head = f"POST {RUN} HTTP/1.0\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        answer = self.raw(head.encode() + body, 20)
        self.assertRegex(answer, rb"^HTTP/1\.[01] 200 ")
        self.assertIn(rb'"stdout":"old\n"', answer)

    def test_client_that_leaves_ends_its_sandbox_within_a_second(self):
        for query in ("", "?stream=1"):
            with self.subTest(query=query):
                connection = UnixConnection(self.agent.socket, patience(20))
                connection.request("POST", RUN + query, json.dumps(program(code="tail -f /dev/null")), JSON)
                self.agent.wait_running()
                connection.close()
                left = time.monotonic()
                self.agent.wait_no_sandbox()
                self.assertLess(time.monotonic() - left, patience(1))

    def test_client_that_stops_sending_has_left(self):
        body = json.dumps(program(code="tail -f /dev/null")).encode()
        head = f"POST {RUN} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n" \
               "Connection: close\r\n\r\n"
        with unix_connect(self.agent.socket, patience(20)) as sock:
            sock.sendall(head.encode() + body)
            self.agent.wait_running()
            sock.shutdown(socket.SHUT_WR)
            self.assertEqual(read_to_end(sock), b"")
        self.agent.wait_idle(20)

    def test_too_many_connections_do_not_stop_the_agent(self):
        held = [unix_connect(self.agent.socket) for _ in range(100)]
        for sock in held:
            sock.close()
        wait_for("an answer again", self.answers, 10)

    def answers(self):
        try:
            return self.agent.get("/healthz").status == 200
        except OSError:
            return False


def read_to_end(sock):
    data = b""
    while True:
        try:
            block = sock.recv(65536)
        except ConnectionResetError:
            return data
        if not block:
            return data
        data += block


class Load(AgentTestCase):
    """More clients than places."""

    changes = {"agent": {"max_running": 2, "queue_length": 6, "queue_ms": 60000}}

    # glibc raises its thresholds with what is freed and then keeps megabytes; with its documented defaults it does not.
    agent_environment = {"GLIBC_TUNABLES": "glibc.malloc.mmap_threshold=131072:glibc.malloc.trim_threshold=131072"}

    def together(self, call, clients):
        """All at once; a list of (seconds, answer)."""
        barrier = threading.Barrier(clients)

        def client():
            barrier.wait(patience(20))
            begun = time.monotonic()
            answer = call()
            return time.monotonic() - begun, answer

        return [one.result(90) for one in [Background(client) for _ in range(clients)]]

    def burst(self):
        """Clients of every kind, good and bad."""
        wait_for("two free places", self.sandboxes_are_gone, 60)
        self.check_answers(self.together(lambda: self.agent.post(program(code="echo hi"), timeout=60), 200))
        for body, status in ((b" " * 10_000_000, 413), (b'{"runtime":"sh","code":' + b"[" * 100_000, 400),
                             (json.dumps(with_files({f"f{i}": "x" * 2000 for i in range(200)})).encode(), 400)):
            answers = self.together(lambda body=body: self.agent.post(body), 30)
            self.assertEqual({answer.status for _, answer in answers}, {status})
        self.together(self.leave_after_half, 100)
        self.leave_all()

    def sandboxes_are_gone(self):
        """For the agent, too: Docker does not list one that is still being created for a client who has left."""
        return re.search(r"^tee_sandboxes 0$", self.agent.get("/metrics").body.decode("ascii"), re.MULTILINE)

    def leave_after_half(self):
        with unix_connect(self.agent.socket, patience(10)) as sock:
            sock.sendall(b"POST /v1/executions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
                         b"Content-Length: 500000\r\n\r\n" + b" " * 100_000)

    def leave_all(self):
        """Clients whose programs run, whose requests wait, and who do not read their refusal."""
        wait_for("two free places", self.sandboxes_are_gone, 60)
        connections = [UnixConnection(self.agent.socket, patience(20)) for _ in range(20)]
        for connection in connections:
            connection.request("POST", RUN, json.dumps(program(code="tail -f /dev/null")), JSON)
        self.wait_executions(2, 6)
        for connection in connections:
            connection.close()
        self.wait_executions(0, 0)

    def wait_executions(self, running, queued):
        def reached():
            now = self.agent.get("/v1/status").json["executions"]
            return (now["running"], now["queued"]) == (running, queued)

        wait_for(f"{running} running and {queued} queued", reached, 20)

    def test_bursts_of_clients_all_get_an_answer_and_leave_nothing(self):
        self.agent.run("sh", "true")
        self.agent.wait_idle()
        before = self.agent.open_files()
        memory = []
        for _ in range(7):
            self.burst()
            self.agent.wait_idle()
            wait_for("the end of all connections", lambda: self.agent.open_files()["clients"] == 0, 20)
            after = self.agent.open_files()
            self.assertLessEqual(after.pop("others"), before["others"] + 16, "lib/transfer.c keeps no more")
            self.assertEqual(after, {"clients": 0, "rest": before["rest"]})
            memory.append(self.agent.resident_kb())
        # The first two bursts give the heap its size. What may come on top is what glibc keeps of free memory at the
        # heap's end (128 KiB) and holes. The five that follow are 2,000 clients: a leak of 256 bytes each is seen. ASan
        # keeps what was freed (quarantine_size_mb), and says of leaks itself.
        allowance = 16384 if is_sanitized() else 512
        self.assertLess(min(memory[-2:]) - memory[1], allowance, f"resident kB after each burst: {memory}")

    def check_answers(self, answers):
        seen = collections.Counter(answer.status for _, answer in answers)
        self.assertEqual(sum(seen.values()), 200)
        self.assertEqual(set(seen), {200, 429})
        self.assertGreaterEqual(seen[200], 7, "two places, one of which the gate's probe may hold, and six in the queue")
        for seconds, answer in answers:
            if answer.status == 429:
                self.assert_refusal(answer, 429, "queue_full")
                self.assertLess(seconds, patience(2), "a refusal must not wait")
            else:
                self.assertEqual(answer.json["stdout"], "hi\n")

    def test_request_waits_in_the_queue_and_says_how_long(self):
        code = "console.log('x'); await new Promise((done) => setTimeout(done, 1000))"
        runs = [self.agent.start_run("deno", code) for _ in range(4)]
        waited = sorted(run.result()["timing"]["queue_ms"] for run in runs)
        self.assertLess(waited[0], 900)
        self.assertGreater(waited[-1], 900)


class Untaken(AgentTestCase):
    """A client that does not take its answer."""

    changes = {"http": {"answers_mb": 1, "request_ms": 60000}, "agent": {"queue_ms": 60000}}

    def test_its_answer_holds_up_others_before_memory_is_full(self):
        lazy = UnixConnection(self.agent.socket, patience(30))
        request = program(code="head -c 4000000 /dev/zero | tr '\\000' x", limits={"output_kb": 8000})
        lazy.request("POST", RUN, json.dumps(request), JSON)
        wait_for("its end", lambda: self.agent.get("/v1/status").json["executions"]["ended"] == 1, 20)
        self.agent.wait_idle()
        other = self.agent.start_run("sh", "echo hi")
        wait_for("a queue", lambda: self.agent.get("/v1/status").json["executions"]["queued"] == 1)
        self.assertEqual(docker().containers(self.agent.instance), [])
        self.assertEqual(len(json.loads(lazy.getresponse().read())["stdout"]), 4000000)
        self.assertEqual(other.result()["stdout"], "hi\n")


class Places(AgentTestCase):
    changes = {"agent": {"max_running": 3, "queue_length": 64, "queue_ms": 60000}}

    def test_never_more_sandboxes_exist_than_may_and_everybody_is_served(self):
        runs = [self.agent.start_run("sh", f"echo {i}", timeout=60) for i in range(30)]
        seen = collections.Counter()

        def all_answered():
            seen[len(docker().containers(self.agent.instance))] += 1  # in any state: an ended one costs memory, too
            return all(run.ended for run in runs)

        wait_for("all answers", all_answered, 90)
        self.assertEqual([run.result()["stdout"] for run in runs], [f"{i}\n" for i in range(30)])
        self.assertEqual(max(seen), 3, seen)
        self.assertGreater(sum(seen.values()), 30, "looked too seldom to have seen a fourth")


class Queue(AgentTestCase):
    changes = {"agent": {"max_running": 1, "queue_length": 1, "queue_ms": 700}}

    def test_request_that_waits_too_long_is_refused_with_503(self):
        first = self.agent.start_run("sh", "tail -f /dev/null", limits={"wall_ms": 6000})
        self.agent.wait_running()
        begun = time.monotonic()
        answer = self.agent.post(program())
        self.assert_refusal(answer, 503, "queue_timeout")
        self.assertGreater(time.monotonic() - begun, 0.6)
        self.assertLess(time.monotonic() - begun, patience(3))
        self.assertEqual(first.result()["status"], "wall_limit")

    def test_nobody_waits_longer_for_a_sandbox_than_for_the_program(self):
        first = self.agent.start_run("sh", "tail -f /dev/null", limits={"wall_ms": 3000})
        self.agent.wait_running()
        answer = self.agent.post(dict(program(), limits={"wall_ms": 100}))
        self.assert_refusal(answer, 503, "queue_timeout")
        self.assertIn("within 100 ms", answer.error["message"])
        self.assertEqual(first.result()["status"], "wall_limit")

    def test_client_that_leaves_gives_its_place_in_the_queue_back(self):
        first = self.agent.start_run("sh", "tail -f /dev/null", limits={"wall_ms": 3000})
        self.agent.wait_running()
        waiting = UnixConnection(self.agent.socket, patience(20))
        waiting.request("POST", RUN, json.dumps(program()), JSON)
        self.wait_queued(1)
        waiting.close()
        self.wait_queued(0, 0.6)
        self.assertEqual(first.result()["status"], "wall_limit")

    def wait_queued(self, n, seconds=10):
        wait_for(f"{n} in the queue", lambda: self.agent.get("/v1/status").json["executions"]["queued"] == n, seconds)
