# SPDX-License-Identifier: Apache-2.0
"""docs/monitoring: alerts, dashboard and page speak of metrics that there are, and do what they say."""

import json
import pathlib
import re
import shlex
import shutil
import subprocess
import tempfile
import unittest

from harness import Agent, AgentTestCase
from journald import Journald
from manuals import message_ids, read
from places import ROOT, guides, patience
from prometheus import Scrape, promtool

FOLDER = ROOT / "docs" / "monitoring"
RULES = FOLDER / "tee-agent.rules.yml"
CASES = FOLDER / "tee-agent.rules-test.yml"
PAGE = FOLDER / "README.md"
NOT_THE_AGENTS = {"tee_up", "node_textfile_mtime_seconds"}
PARTS = re.compile(r"_(bucket|sum|count)$")


def alerts():
    """Name → the rule's text."""
    _, *rules = re.split(r"(?m)^ +- alert: ", read(RULES))
    return {rule.split("\n", 1)[0]: rule for rule in rules}


def metrics_in(expression):
    """The names of metrics in an expression of PromQL."""
    return set(re.findall(r"\b(?:tee|node|process)_[a-z_]+", re.sub(r'"[^"]*"', "", expression)))


def dashboard():
    return json.loads(read(FOLDER / "tee-agent.dashboard.json"))


def targets():
    return [(panel["title"], target["expr"]) for panel in dashboard()["panels"] for target in panel.get("targets", [])]


def replaced(expression):
    """A query as Grafana sends it."""
    for variable, value in {"$instance": ".*", "$runtime": "deno", "$__rate_interval": "5m"}.items():
        expression = expression.replace(variable, value)
    return expression


class Metrics(AgentTestCase):
    """What is spoken of is there."""

    def known(self):
        """The names of series, as the textfile collector has them, too."""
        names = Scrape(self.agent.get("/metrics").body.decode("utf-8")).names()
        return names | {f"tee_{name}" for name in names if name.startswith("process_")} | NOT_THE_AGENTS

    def test_of_the_alerts(self):
        for name, rule in alerts().items():
            with self.subTest(name):
                used = metrics_in(rule[rule.index("expr:"):rule.index("labels:")])
                self.assertTrue(used)
                self.assertLessEqual(used, self.known())

    def test_of_the_dashboard(self):
        known = self.known()
        for title, expression in targets():
            with self.subTest(title):
                used = metrics_in(expression)
                self.assertTrue(used)
                self.assertLessEqual(used, known)
        for variable in dashboard()["templating"]["list"]:
            if variable["type"] == "query":
                self.assertLessEqual(metrics_in(variable["query"]["query"]), known)

    def test_each_query_of_the_dashboard_finds_some(self):
        now = Scrape(self.agent.get("/metrics").body.decode("utf-8"))
        series = [{"series": "tee_up{instance='a'}", "values": "1x20"}]
        for name, labels in now.samples:
            pairs = "".join(f",{key}={json.dumps(value)}" for key, value in labels)
            values = "1x20" if now.types.get(name) == "gauge" else "1+1x20"
            name = f"tee_{name}" if name.startswith("process_") else name
            series.append({"series": f"{name}{{instance='a'{pairs}}}", "values": values})
        cases = [{"expr": f"count({replaced(expression)}) > bool 0", "eval_time": "15m",
                  "exp_samples": [{"labels": "{}", "value": 1}]} for _, expression in targets()]
        self.assertGreater(len(cases), 20)
        with tempfile.NamedTemporaryFile("w", suffix=".json") as file:  # JSON is YAML
            json.dump({"tests": [{"interval": "1m", "input_series": series, "promql_expr_test": cases}]}, file)
            file.flush()
            said, status = promtool("test", "rules", file.name)
        self.assertEqual(status, 0, said)

    def test_of_the_page_are_all(self):
        table = read(PAGE).split("## What there is")[1].split("## ")[0]
        rows = re.findall(r"^\| (`[^|]*) \| (?:(\w+) )?\| (?:([^|]+) )?\|", table, re.MULTILINE)
        documented = {name: set(filter(None, labels.split(", "))) for names, _, labels in rows
                      for name in re.findall(r"`(\w+)`", names)}
        now = Scrape(self.agent.get("/metrics").body.decode("utf-8"))
        labels = {}
        for name, its in now.samples:
            labels.setdefault(PARTS.sub("", name), set()).update(key for key, _ in its if key != "le")
        self.assertEqual(documented, labels)
        for names, kind, _ in rows:
            self.assertLessEqual({now.types[name] for name in re.findall(r"`(\w+)`", names) if kind}, {kind})


class Alerts(unittest.TestCase):
    def folder(self):
        folder = pathlib.Path(tempfile.mkdtemp(prefix="tee-test-"))
        self.addCleanup(shutil.rmtree, folder)
        return folder

    def test_promtool_takes_the_rules(self):
        said, status = promtool("check", "rules", RULES)
        self.assertEqual(status, 0, said)
        self.assertIn(f"{len(alerts())} rules found", said)
        self.assertGreater(len(alerts()), 10)

    def test_each_case_comes_out(self):
        said, status = promtool("test", "rules", CASES)
        self.assertEqual(status, 0, said)

    def test_each_alert_has_a_case_that_sees_it_missing(self):
        folder = self.folder()
        shutil.copy(CASES, folder)
        silenced, count = re.subn(r"expr: (\|\n( {10,}.*\n)+|.*\n)", "expr: vector(0) > 1\n", read(RULES))
        self.assertEqual(count, len(alerts()))
        (folder / RULES.name).write_text(silenced, encoding="utf-8")
        said, status = promtool("test", "rules", folder / CASES.name)
        self.assertNotEqual(status, 0)
        self.assertEqual(set(re.findall(r'alertname=\\?"(\w+)\\?"', said)), set(alerts()), said)

    def test_each_says_how_bad_what_and_where_to_read_on(self):
        for name, rule in alerts().items():
            with self.subTest(name):
                self.assertRegex(rule, r"labels: \{severity: (critical|warning)\}")
                for annotation in ("summary", "description", "runbook"):
                    self.assertRegex(rule, rf'(?m)^ +{annotation}: "[^"]+')
                self.assertIn(f"README.md#{name.lower()}\"", rule)
                self.assertIn(f"\n### {name}\n", read(PAGE))

    def test_the_page_explains_no_others(self):
        self.assertEqual(re.findall(r"^### (\w+)$", read(PAGE), re.MULTILINE), list(alerts()))


class Dashboard(unittest.TestCase):
    def test_promtool_takes_each_query(self):
        self.assertGreater(len(targets()), 20)
        rules = []
        for number, (_, expression) in enumerate(targets()):
            self.assertNotIn("$", replaced(expression))
            rules.append({"record": f"panel:{number}", "expr": replaced(expression)})
        with tempfile.NamedTemporaryFile("w", suffix=".json") as file:  # JSON is YAML
            json.dump({"groups": [{"name": "dashboard", "rules": rules}]}, file)
            file.flush()
            said, status = promtool("check", "rules", file.name)
        self.assertEqual(status, 0, said)
        self.assertIn(f"{len(rules)} rules found", said)

    def test_panels_have_a_place_and_an_id_each_and_the_data_source_that_is_chosen(self):
        panels = dashboard()["panels"]
        self.assertEqual(len({panel["id"] for panel in panels}), len(panels))
        taken = set()
        for panel in panels:
            at = panel["gridPos"]
            cells = {(at["x"] + i, at["y"] + j) for i in range(at["w"]) for j in range(at["h"])}
            self.assertFalse(taken & cells, panel["title"])
            self.assertLessEqual(at["x"] + at["w"], 24, panel["title"])
            taken |= cells
            for item in (panel, *panel.get("targets", [])):
                if panel["type"] != "row":
                    self.assertEqual(item["datasource"], {"type": "prometheus", "uid": "${datasource}"}, panel["title"])

    def test_variables_that_are_used_are_there(self):
        text = json.dumps(dashboard())
        used = set(re.findall(r"\$\{?([a-z]\w*)", text))
        self.assertEqual(used, {variable["name"] for variable in dashboard()["templating"]["list"]})


class Units(unittest.TestCase):
    def test_systemd_takes_them(self):
        units = [FOLDER / "tee-metrics.service", FOLDER / "tee-metrics.timer"]
        done = subprocess.run(["systemd-analyze", "verify", "--man=no", *units], stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, timeout=patience(60), check=False)
        self.assertEqual((done.returncode, done.stdout), (0, ""))


class Journal(unittest.TestCase):
    """The commands for those who have no Prometheus, on a real journal."""

    def test_message_ids_are_those_of_what_they_stand_for(self):
        page = read(PAGE).split("## From the journal")[1].split("## The alerts")[0]
        manual = read(ROOT / "docs" / "man" / "tee-agent.8")
        for number, words in re.findall(r"^\| ([0-9a-f]{32}) \| (.*) \|$", page, re.MULTILINE):
            self.assertIn(f".It {number}\n{words}\n", manual)
        self.assertLessEqual(set(re.findall(r"\b[0-9a-f]{32}\b", read(PAGE) + read(RULES))), set(message_ids()))

    def command(self):
        """The one for the guide's warnings, without its span of time."""
        block = re.search(r"^    (journalctl --quiet --since.*\n(?:        .*\n)+)", read(PAGE), re.MULTILINE).group(1)
        return [word for word in shlex.split(block.replace("\\\n", "")) if not word.startswith("--since")]

    def test_disabled_warnings_are_found_and_nothing_else(self):
        for value, expected in (("false", 1), ("true", 0)):
            agent = Agent(f"monitor-{value}", environment={"DISABLE_GVISOR": value})
            self.addCleanup(agent.close)
            journal = Journald(agent.folder / "journald.log")
            self.addCleanup(journal.close)
            agent.prefix = journal.prefix()
            agent.start().wait_open()
            result = agent.run("sh", "true")
            journal.wait_entry(TEE_EXECUTION_ID=result["id"], TEE_STATUS=result["status"])
            words = [*self.command(), "--output=cat", "--directory", str(journal.root / "run" / "log" / "journal")]
            done = subprocess.run(words, stdout=subprocess.PIPE, text=True, timeout=patience(20), check=False)
            self.assertEqual(done.returncode, expected, done)
            wanted = [guides("banner"), "The gate is open WITHOUT gVisor: OCI runtime runc", guides("warning")]
            self.assertEqual(done.stdout, "" if expected else "\n".join(wanted) + "\n")
            agent.account()
