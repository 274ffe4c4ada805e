# SPDX-License-Identifier: Apache-2.0
"""The main job: a program goes in, a true result comes out; waiting and streaming."""

import json
import platform
import re
import threading

from api import RESULT_FIELDS, as_base64, as_bytes, check_result, check_status
from harness import AgentTestCase
from places import ROOT, patience


class Main(AgentTestCase):
    def test_hello_in_deno_gives_a_full_result(self):
        result = self.agent.run("deno", "const n: number = 41; console.log('hello', n + 1);")
        self.assertEqual(result["status"], "ok", result)
        self.assertEqual(result["stdout"], "hello 42\n")
        self.assertEqual(result["stderr"], "")
        self.assertEqual((result["exit_code"], result["signal"]), (0, None))
        self.assertEqual((result["stdout_bytes"], result["stderr_bytes"]), (9, 0))
        self.assertEqual((result["stdout_truncated"], result["stderr_truncated"]), (False, False))
        self.assertEqual((result["cause"], result["evidence"], result["labels"]), (None, None, {}))

    def test_result_says_gvisor_and_shows_its_kernel(self):
        sandbox = self.agent.run("sh", "true")["sandbox"]
        self.assertIs(sandbox["gvisor"], True)
        self.assertEqual(sandbox["oci_runtime"], "runsc")
        self.assertRegex(sandbox["kernel"], r"^4\.4\.0|gvisor")
        self.assertIn("Sun Jan 10 15:06:54 PST 2016", sandbox["kernel"])
        self.assertNotIn(platform.release(), sandbox["kernel"])

    def test_program_itself_sees_the_kernel_of_the_result(self):
        result = self.agent.run("sh", "uname -r; uname -v")
        for line in result["stdout"].splitlines():
            self.assertIn(line, result["sandbox"]["kernel"])

    def test_timing_and_usage_are_measured_not_made_up(self):
        result = self.agent.run("deno", "const end = Date.now() + 300; while (Date.now() < end); console.log('x')")
        timing, usage = result["timing"], result["usage"]
        self.assertGreaterEqual(timing["run_ms"], 300)
        self.assertGreaterEqual(timing["total_ms"], timing["run_ms"])
        self.assertGreaterEqual(timing["total_ms"] + 1,
                                timing["queue_ms"] + timing["setup_ms"] + timing["run_ms"])
        self.assertGreater(timing["setup_ms"], 0)
        self.assertGreater(usage["cpu_ms"], 150)
        self.assertGreater(usage["memory_peak_bytes"], 1024 * 1024)

    def test_each_execution_has_an_id_of_its_own(self):
        ids = [self.agent.run("sh", "true")["id"] for _ in range(2)]
        self.assertNotEqual(*ids)

    def test_files_import_each_other(self):
        files = {
            "main.ts": "import { twice } from './lib/twice.ts'; console.log(twice(21), import.meta.main);",
            "lib/twice.ts": "import { two } from '../two.ts'; export const twice = (n: number): number => two * n;",
            "two.ts": "export const two = 2;",
        }
        result = self.agent.run("deno", files=files, entry="main.ts")
        self.assertEqual((result["status"], result["stdout"]), ("ok", "42 true\n"), result)

    def test_entry_may_be_any_of_the_files(self):
        files = {"a/start.ts": "import '../b.ts'; console.log('start', import.meta.url)", "b.ts": "console.log('b')"}
        result = self.agent.run("deno", files=files, entry="a/start.ts")
        self.assertEqual(result["stdout"], "b\nstart file:///work/a/start.ts\n", result)

    def test_code_is_the_short_form_of_one_file(self):
        result = self.agent.run("sh", 'echo "$0"; pwd; ls; cat main.sh')
        self.assertEqual(result["status"], "ok", result)
        name, folder, listing, _ = result["stdout"].split("\n", 3)
        self.assertEqual((name.removeprefix("/work/"), folder, listing), ("main.sh", "/work", "main.sh"))

    def test_arguments_arrive_as_they_are(self):
        args = ["one", "", "two words", "--flag", "-", "ünï", "a\nb", "'\"\\$x"]
        result = self.agent.run("deno", "console.log(JSON.stringify(Deno.args))", args=args)
        self.assertEqual(json.loads(result["stdout"]), args)

    def test_environment_arrives_and_the_hosts_does_not(self):
        result = self.agent.run("sh", "env", env={"GREETING": "good day = ü", "EMPTY": "", "HOME": "/tmp"})
        seen = dict(line.split("=", 1) for line in result["stdout"].splitlines())
        self.assertEqual((seen["GREETING"], seen["EMPTY"], seen["HOME"]), ("good day = ü", "", "/tmp"))
        for name in ("NOTIFY_SOCKET", "LISTEN_FDS", "DISABLE_GVISOR", "ASAN_OPTIONS"):
            self.assertNotIn(name, seen)

    def test_deno_reads_its_environment(self):
        result = self.agent.run("deno", "console.log(Deno.env.get('GREETING'))", env={"GREETING": "hello"})
        self.assertEqual(result["stdout"], "hello\n", result)

    def test_home_and_working_folder_are_the_work_folder(self):
        result = self.agent.run("deno", "console.log(Deno.cwd(), Deno.env.get('HOME'))")
        self.assertEqual(result["stdout"], "/work /work\n", result)

    def test_stdin_as_text(self):
        result = self.agent.run("sh", "cat", stdin="first\nzweite Zeile: ü")
        self.assertEqual(result["stdout"], "first\nzweite Zeile: ü")

    def test_stdin_as_base64_keeps_every_byte(self):
        data = bytes(range(256)) * 300  # more than one frame
        result = self.agent.run("sh", "cat", stdin=as_base64(data))
        self.assertEqual(as_bytes(result["stdout"]), data)

    def test_stdin_reaches_deno(self):
        code = "console.log((await new Response(Deno.stdin.readable).text()).toUpperCase())"
        self.assertEqual(self.agent.run("deno", code, stdin="quiet")["stdout"], "QUIET\n")

    def test_without_stdin_the_program_reads_its_end(self):
        result = self.agent.run("sh", "cat; echo end")
        self.assertEqual((result["status"], result["stdout"]), ("ok", "end\n"))

    def test_stdin_that_is_not_read_harms_nobody(self):
        result = self.agent.run("sh", "echo done", stdin="x" * 500_000)
        self.assertEqual((result["status"], result["stdout"]), ("ok", "done\n"))

    def test_base64_file_keeps_every_byte(self):
        data = bytes(range(256)) * 600
        files = {"main.sh": "cat data/all.bin", "data/all.bin": as_base64(data)}
        result = self.agent.run("sh", files=files, entry="main.sh")
        self.assertEqual(as_bytes(result["stdout"]), data)

    def test_empty_file_is_a_file(self):
        result = self.agent.run("sh", files={"main.sh": "wc -c < empty", "empty": ""}, entry="main.sh")
        self.assertEqual(result["stdout"].strip(), "0", result)

    def test_labels_come_back(self):
        labels = {"job": "42", "owner/name": "ünï ✓", "empty": ""}
        self.assertEqual(self.agent.run("sh", "true", labels=labels)["labels"], labels)

    def test_typescript_error_points_into_the_users_file(self):
        files = {"main.ts": "import { f } from './f.ts';\n\nf();\n",
                 "f.ts": "interface A { b: string }\nexport function f(): A {\n  throw new Error('boom');\n}\n"}
        result = self.agent.run("deno", files=files, entry="main.ts")
        self.assertEqual((result["status"], result["exit_code"]), ("error", 1), result)
        self.assertIn("boom", result["stderr"])
        self.assertRegex(result["stderr"], r"file:///work/f\.ts:3:\d+")
        self.assertRegex(result["stderr"], r"file:///work/main\.ts:3:\d+")

    def test_syntax_error_points_into_the_users_file(self):
        result = self.agent.run("deno", "const ok = 1;\nconst = 2;\n")
        self.assertEqual(result["status"], "error")
        self.assertRegex(result["stderr"], r"file:///work/main\.ts:2:\d+")

    def test_utf8_output_is_text(self):
        text = "grüße, 世界, 🦕, \u0001\t\r\n"
        result = self.agent.run("deno", f"await Deno.stdout.write(new TextEncoder().encode({json.dumps(text)}))")
        self.assertEqual(result["stdout"], text)
        self.assertEqual(result["stdout_bytes"], len(text.encode()))

    def test_output_that_is_no_text_is_base64(self):
        data = bytes(range(256))
        code = f"await Deno.stdout.write(new Uint8Array({list(data)})); console.error('text')"
        result = self.agent.run("deno", code)
        self.assertIsInstance(result["stdout"], dict)
        self.assertEqual(as_bytes(result["stdout"]), data)
        self.assertEqual((result["stdout_bytes"], result["stderr"]), (256, "text\n"))

    def test_output_with_nul_is_base64(self):
        result = self.agent.run("sh", r"printf 'a\000b'")
        self.assertIsInstance(result["stdout"], dict)
        self.assertEqual(as_bytes(result["stdout"]), b"a\0b")

    def test_stdout_and_stderr_are_kept_apart(self):
        result = self.agent.run("sh", "echo out; echo err >&2; echo out2")
        self.assertEqual((result["stdout"], result["stderr"]), ("out\nout2\n", "err\n"))

    ULIMITS = "for limit in n u t f c; do ulimit -$limit; ulimit -H -$limit; done"  # files in blocks of 512 bytes

    def test_limits_that_are_left_out_have_their_defaults(self):
        result = self.agent.run("sh", self.ULIMITS)
        self.assertEqual(result["stdout"].split(),
                         ["1024", "1024", "64", "64", "10", "11", "131072", "131072", "0", "0"], result)

    def test_limits_that_are_given_are_set(self):
        limits = {"cpu_ms": 3000, "processes": 20, "wall_ms": 5000, "memory_mb": 64, "output_kb": 1, "disk_mb": 8}
        result = self.agent.run("sh", self.ULIMITS, limits=limits)
        self.assertEqual(result["stdout"].split(),
                         ["1024", "1024", "20", "20", "3", "4", "16384", "16384", "0", "0"], result)

    def test_program_leads_a_session_of_its_own(self):
        result = self.agent.run("sh", "cat /proc/$$/stat /proc/1/stat")
        program, guest = (line.split()[:6] for line in result["stdout"].splitlines())
        pid, _, _, parent, group, session = program
        self.assertEqual((parent, group, session), ("1", pid, pid))
        self.assertNotIn(pid, guest)

    def test_program_runs_unprivileged_and_with_a_readonly_root(self):
        result = self.agent.run("sh", "id -u; id -g; id -G; echo x 2>/dev/null > /x || echo readonly")
        self.assertEqual(result["stdout"].split(), ["65532", "65532", "65532", "readonly"], result)

    def capabilities(self):
        status = self.agent.run("sh", "cat /proc/self/status")["stdout"]
        return {name: int(value, 16) for name, value in re.findall(r"^(Cap\w+):\s*([0-9a-f]+)$", status, re.MULTILINE)}

    def test_program_holds_no_capability(self):
        held = self.capabilities()
        held.setdefault("CapAmb", 0)  # which gVisor does not print
        del held["CapBnd"]
        self.assertEqual(held, {"CapInh": 0, "CapPrm": 0, "CapEff": 0, "CapAmb": 0})

    def test_program_could_gain_no_capability(self):
        self.assertEqual(self.capabilities()["CapBnd"], 0)

    def test_program_has_no_network_but_its_loopback(self):
        code = "tail -n +3 /proc/net/dev | cut -d: -f1; nc -w 5 192.0.2.1 80 < /dev/null 2>&1; echo $?; " \
               "nc -w 5 127.0.0.1 80 < /dev/null 2>&1"
        interfaces, outside, status, inside = self.agent.run("sh", code)["stdout"].strip().split("\n")
        self.assertEqual(interfaces.split(), ["lo"])
        self.assertRegex(outside, "192.0.2.1.*: (Network is unreachable|No route to host)$")
        self.assertEqual(status, "1")
        self.assertRegex(inside, "127.0.0.1.*: Connection refused$", "nc itself does not work")

    def test_deno_permissions_are_a_second_layer(self):
        code = "for (const path of ['/etc', '/proc/self']) try { Deno.readDirSync(path); console.log('read', path) }" \
               "catch (e) { console.log(e.name) }\n" \
               "try { new Deno.Command('/bin/true').outputSync() } catch (e) { console.log(e.name) }\n" \
               "try { await fetch('http://127.0.0.1/') } catch (e) { console.log(e.name) }"
        self.assertEqual(self.agent.run("deno", code)["stdout"].split(), ["NotCapable"] * 4)

    def test_work_folder_and_tmp_can_be_written(self):
        code = "for (const p of ['/work/a', '/tmp/b']) { Deno.writeTextFileSync(p, 'x'.repeat(100_000));" \
               " console.log(Deno.readTextFileSync(p).length) }"
        self.assertEqual(self.agent.run("deno", code)["stdout"], "100000\n100000\n")

    def test_executions_see_nothing_of_each_other(self):
        look = "ls -A /work /tmp; ps -o args"
        first = self.agent.run("sh", f"touch /work/left-a /tmp/left-b; tail -f /dev/null & {look}")
        second = self.agent.run("sh", look)
        self.assertEqual((first["status"], second["status"]), ("ok", "ok"), (first, second))
        for trace in ("left-a\n", "left-b\n", "tail -f"):
            self.assertIn(trace, first["stdout"])
            self.assertNotIn(trace, second["stdout"])

    def test_sandbox_is_gone_when_all_is_over(self):
        self.agent.run("sh", "true")
        self.agent.wait_idle(3)

    def test_status_has_every_documented_field(self):
        before = self.agent.get("/v1/status").json
        self.agent.run("sh", "true")
        status = self.agent.get("/v1/status").json
        check_status(status)
        self.assertEqual(status["gate"], {"state": "open", "code": None, "reason": None, "remedy": None})
        self.assertIs(status["gvisor"]["enabled"], True)
        self.assertIn("2016", status["gvisor"]["kernel"])
        self.assertEqual(set(status["runtimes"]), {"deno", "deno_all", "sh"})
        self.assertTrue(all(one["available"] for one in status["runtimes"].values()), status)
        self.assertEqual(status["executions"]["ended"], before["executions"]["ended"] + 1)
        self.assertEqual((status["executions"]["running"], status["executions"]["max_running"]), (0, 2))

    def test_healthz_says_open_and_gvisor(self):
        answer = self.agent.get("/healthz")
        self.assertEqual((answer.status, answer.json), (200, {"gate": "open", "gvisor": True, "failing_pools": []}))

    def test_schema_of_these_tests_is_that_of_the_documentation(self):
        text = (ROOT / "docs" / "openapi.yaml").read_text(encoding="utf-8")
        required = re.search(r"\n    Result:.*?required: \[(.*?)\]", text, re.DOTALL).group(1)
        self.assertEqual(set(re.findall(r"\w+", required)), set(RESULT_FIELDS))


class Streaming(AgentTestCase):
    def collect(self, request):
        """The events of a run, after the rules that hold for every stream."""
        events = [event for _, event in self.agent.stream(request)]
        self.assertEqual(set(events[0]), {"event", "id", "sandbox"})
        self.assertEqual(events[0]["event"], "started")
        self.assertEqual(set(events[-1]), {"event", "result"})
        self.assertEqual(events[-1]["event"], "ended")
        for event in events[1:-1]:
            self.assertEqual(set(event), {"event", "data"})
            self.assertIn(event["event"], ("stdout", "stderr"))
        result = events[-1]["result"]
        check_result(result, streamed=True)
        self.assertEqual((events[0]["id"], events[0]["sandbox"]), (result["id"], result["sandbox"]))
        return events, result

    def output(self, events, name):
        return b"".join(as_bytes(event["data"]) for event in events if event["event"] == name)

    def test_events_come_in_order_and_hold_the_same_as_the_waiting_form(self):
        request = {"runtime": "sh", "code": "echo one; echo two >&2; exit 3", "labels": {"a": "b"}}
        events, streamed = self.collect(request)
        waited = self.agent.run(**request)
        self.assertEqual(self.output(events, "stdout"), b"one\n")
        self.assertEqual(self.output(events, "stderr"), b"two\n")
        for name in ("status", "exit_code", "signal", "stdout_bytes", "stderr_bytes", "labels", "cause", "evidence"):
            self.assertEqual(streamed[name], waited[name], name)

    def test_output_arrives_while_the_program_runs(self):
        code = "console.log('first'); await new Promise((done) => setTimeout(done, 1500)); console.log('second')"
        times = {}
        for when, event in self.agent.stream({"runtime": "deno", "code": code}):
            times[event["event"] if event["event"] != "stdout" else event["data"]] = when
        self.assertEqual(list(times), ["started", "first\n", "second\n", "ended"])
        self.assertGreater(times["second\n"] - times["first\n"], 1.0)

    def test_characters_cut_by_a_write_arrive_whole(self):
        code = ("const bytes = new TextEncoder().encode('ü🦕世'.repeat(20));\n"
                "for (const b of bytes) { Deno.stdout.writeSync(new Uint8Array([b]));"
                " await new Promise((done) => setTimeout(done, 1)); }")
        events, _ = self.collect({"runtime": "deno", "code": code})
        chunks = [event["data"] for event in events if event["event"] == "stdout"]
        self.assertTrue(all(isinstance(chunk, str) for chunk in chunks), chunks)
        self.assertEqual("".join(chunks), "ü🦕世" * 20)

    def test_large_output_is_complete_and_in_order(self):
        code = "for (let i = 0; i < 20000; i++) console.log(String(i).padStart(9, '0'))"
        events, result = self.collect({"runtime": "deno", "code": code})
        expected = b"".join(b"%09d\n" % i for i in range(20000))
        self.assertEqual(result["status"], "ok", result)
        self.assertTrue(self.output(events, "stdout") == expected, "the output is not what was printed")

    def test_binary_output_is_base64_and_complete(self):
        code = "const b = new Uint8Array(200_000); for (let i = 0; i < b.length; i++) b[i] = i % 251;" \
               "let n = 0; while (n < b.length) n += Deno.stdout.writeSync(b.subarray(n));"
        events, _ = self.collect({"runtime": "deno", "code": code})
        self.assertTrue(self.output(events, "stdout") == bytes(i % 251 for i in range(200_000)))

    def test_character_that_never_ends_is_given_at_the_end(self):
        events, _ = self.collect({"runtime": "sh", "code": r"printf 'a\303'"})
        self.assertEqual(self.output(events, "stdout"), b"a\xc3")

    def test_refusal_of_a_stream_is_a_plain_refusal(self):
        answer = self.agent.post({"runtime": "sh"}, "?stream=1")
        self.assert_refusal(answer, 400, "missing_field", "code")

    def test_stream_0_is_the_waiting_form(self):
        answer = self.agent.post({"runtime": "sh", "code": "echo hi"}, "?stream=0")
        check_result(answer.json)
        self.assertEqual(answer.json["stdout"], "hi\n")

    def test_two_streams_at_once_do_not_mix(self):
        outputs = {}

        def collect(word):
            events, _ = self.collect({"runtime": "sh", "code": f"for i in $(seq 2000); do echo {word}; done"})
            outputs[word] = self.output(events, "stdout")

        threads = [threading.Thread(target=collect, args=(word,)) for word in ("left", "right")]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(patience(60))
        self.assertEqual(outputs, {"left": b"left\n" * 2000, "right": b"right\n" * 2000})
