# SPDX-License-Identifier: Apache-2.0
"""What tests of sandboxes that stand ready share: an agent with the runtime `warm`, and the comparison of a program's
result there with that of a plain run."""

import re

from harness import AgentTestCase
from places import wait_for

SAME = ("status", "exit_code", "signal", "stdout", "stderr", "stdout_bytes", "stderr_bytes", "stdout_truncated",
        "stderr_truncated", "cause")


def comparable(result):
    """What must be the same; but for the random names that Deno gives to blobs."""
    return {key: re.sub(r"blob:null/[0-9a-f-]+", "blob:null/…", value) if isinstance(value, str) else value
            for key, value in ((key, result[key]) for key in SAME)}


class WarmTestCase(AgentTestCase):
    def setUp(self):
        self.assertIsNone(self.agent.process.poll(), "the agent has ended")
        self.agent.mark_log()

    def pool(self):
        return self.agent.get("/v1/status").json["runtimes"]["warm"]["pool"]

    def wait_ready(self, count, seconds=30):
        wait_for(f"{count} sandboxes that stand ready", lambda: self.pool()["ready"] == count, seconds)

    def run_warm(self, code, **fields):
        self.wait_ready(2)
        result = self.agent.run("warm", code, **fields)
        self.assertTrue(result["sandbox"]["warm"], result)
        return result


class SideBySide:
    """Each of `programs` in the runtimes `plain` and `warm`. A mix-in for a WarmTestCase."""

    maxDiff = None
    at_least = 60

    def test_same_as_a_plain_run(self):
        self.assertGreaterEqual(len(self.programs), self.at_least)
        for name, program in self.programs.items():
            with self.subTest(program=name):
                request = program if isinstance(program, dict) else {"code": program}
                plain = self.agent.post(dict(request, runtime=self.plain)).json
                self.wait_ready(2)
                warm = self.agent.post(dict(request, runtime="warm")).json
                self.assertTrue(warm["sandbox"]["warm"], warm)
                self.assertFalse(plain["sandbox"]["warm"], plain)
                self.assertEqual(comparable(warm), comparable(plain))
