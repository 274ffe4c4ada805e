# SPDX-License-Identifier: Apache-2.0
"""docs/TROUBLESHOOTING.md and the pages of tee-health --explain are what the programs print: messages stand in the
sources, each code of a refusal has its entry, each check its page and each entry of the gVisor guide its check."""

import functools
import re
import subprocess
import unittest

from health import CHECKS, PROBES
from places import GUIDE, GUIDE_PARTS, ROOT, TEE_HEALTH, patience

DOCUMENT = ROOT / "docs" / "TROUBLESHOOTING.md"
PAGES = ROOT / "health" / "pages"
LITERALS = re.compile(r'"(?:\\.|[^"\\])*"(?:\s+"(?:\\.|[^"\\])*")*')
CONVERSION = re.compile(r"%[-+ #0]*(?:\*|\d+)?(?:\.(?:\*|\d+))?(?:ll|l|z|h|hh)?[a-zA-Z]")
FRAGMENT_MIN = 5


@functools.lru_cache(maxsize=None)
def document():
    return DOCUMENT.read_text(encoding="utf-8")


@functools.lru_cache(maxsize=None)
def printed():
    """All texts in the sources, adjacent literals as one, with … for what printf(3) puts in."""
    texts = []
    for folder in ("lib", "agent", "client", "installer", "health", "guest"):
        for path in sorted((ROOT / folder).glob("*.c")):
            for literal in LITERALS.findall(without_comments(path.read_text(encoding="utf-8"))):
                text = "".join(re.findall(r'"((?:\\.|[^"\\])*)"', literal))
                texts.append(CONVERSION.sub("…", text.replace('\\"', '"').replace("\\n", "\n").replace("%%", "%")))
    return texts


def without_comments(source):
    source = re.sub(r"/\*.*?\*/", "", source, flags=re.DOTALL)
    return re.sub(r'"\s+(?:LOOK_AT_\w+|REMEDY_\w+|TEE_VERSION|banner_\w+)', '" "…"', source)


def fragments(message):
    return [part.strip() for part in message.split("…") if len(part.strip()) >= FRAGMENT_MIN]


def codes_in_sources():
    """Of the calls that refuse, and those that the API promises."""
    found = set()
    for path in [*(ROOT / "agent").glob("*.c"), ROOT / "lib" / "request.c"]:
        text = re.sub(r"\s+", " ", path.read_text(encoding="utf-8"))
        found |= set(re.findall(r'\bshut\(\w+(?:->\w+)?, "(\w+)"', text))
        found |= set(re.findall(r'\bobjection_set\([^;"]*"(\w+)"', text))
        found |= set(re.findall(r'\brefusal_set\([^;"]*\d{3}, "(\w+)"', text))
        found |= set(re.findall(r'\bREFUSE\(\w+, "(\w+)"', text))
    return found


def codes_of_the_api():
    text = (ROOT / "docs" / "openapi.yaml").read_text(encoding="utf-8")
    block = re.search(r"^            code:\n              type: string\n              enum:\n((?: {16}.*\n)+)", text,
                      re.MULTILINE).group(1)
    return set(re.findall(r"^ +- (\w+)", block, re.MULTILINE))


class Messages(unittest.TestCase):
    def test_each_message_that_is_quoted_is_in_the_sources(self):
        blocks = re.findall(r"^```text\n(.*?)^```", document(), re.MULTILINE | re.DOTALL)
        lines = [line for block in blocks for line in block.splitlines()]
        of_install = re.search(r"^## tee-install fails$(.*?)^## ", document(), re.MULTILINE | re.DOTALL).group(1)
        lines += re.findall(r"^\| [\w, ]+ \| `([^`]+)` \|", of_install, re.MULTILINE)
        self.assertGreater(len(lines), 40)
        for line in lines:
            parts = fragments(line)
            for part in parts:
                with self.subTest(message=line, part=part):
                    self.assertTrue(any(part in text for text in printed()), "nobody prints this")

    def test_each_code_of_a_refusal_has_its_entry(self):
        codes = codes_in_sources() | codes_of_the_api()
        self.assertGreaterEqual(len(codes_in_sources()), 25)
        places = re.findall(r"^### (.*)$", document(), re.MULTILINE)
        places += re.findall(r"^\| (`[^|]*) \|", document(), re.MULTILINE)
        known = {code for place in places for code in re.findall(r"`(\w+)`", place)}
        self.assertEqual(sorted(codes - known), [])

    def test_each_outcome_has_its_row(self):
        text = (ROOT / "docs" / "openapi.yaml").read_text(encoding="utf-8")
        outcomes = re.search(r"enum: \[ok, error, signal, ([^\]]*)\]", text).group(1)
        for outcome in set(re.findall(r"\w+", outcomes)) - {"cancelled"}:
            self.assertIn(f"\n| `{outcome}` |", document())

    def test_each_check_that_is_named_exists(self):
        for names in re.findall(r"\bChecks?:\s((?:`[\w.]+`(?:,\s)?)+)", document()):
            for name in re.findall(r"`([\w.]+)`", names):
                self.assertIn(name, CHECKS + PROBES)

    def test_links_within_lead_somewhere(self):
        titles = {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-")
                  for title in re.findall(r"^## (.*)$", document(), re.MULTILINE)}
        links = set(re.findall(r"\]\(#([\w-]+)\)", document()))
        self.assertEqual(links - titles, set())


def entries_of_guide():
    guide = GUIDE.read_text(encoding="utf-8")
    verification, troubleshooting = (re.search(rf"^## {title}$(.*?)^## ", guide, re.MULTILINE | re.DOTALL).group(1)
                                     for title in ("Verification", "Troubleshooting"))
    looks = re.findall(r"^(?:# )?((?:Check|Test) [^:\n]*?):?$", verification, re.MULTILINE)
    return [f"Verification: {look}" for look in looks if look != "Check if gVisor is enabled"] + \
           [f"Troubleshooting: {title}" for title in re.findall("^### (.*)$", troubleshooting, re.MULTILINE)]


class Guide(unittest.TestCase):
    def entries(self):
        entries = (GUIDE_PARTS / "entries.txt").read_text(encoding="utf-8").splitlines()
        if GUIDE.exists():
            self.assertEqual(entries, entries_of_guide())
        return entries

    def test_each_entry_has_its_checks(self):
        table = dict(re.findall(r"^\| ((?:Verification|Troubleshooting): .*?) \| (.*) \|$", document(), re.MULTILINE))
        self.assertEqual(list(table), self.entries())
        for cell in table.values():
            names = re.findall(r"`([\w.]+)`", cell)
            self.assertTrue(names)
            for name in names:
                self.assertIn(name, CHECKS + PROBES)
                self.assertIn("guide", (PAGES / f"{name}.txt").read_text(encoding="utf-8"), name)


class Pages(unittest.TestCase):
    def explain(self, name):
        return subprocess.run([TEE_HEALTH, "--explain", name], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=patience(10), check=False)

    def test_each_check_has_a_page_and_each_page_a_check(self):
        self.assertEqual(sorted(path.stem for path in PAGES.iterdir()), sorted(CHECKS + PROBES))

    def test_pages_are_shown_as_they_are(self):
        listed = subprocess.run([TEE_HEALTH, "--probe", "--list"], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                                timeout=patience(10), check=True).stdout
        titles = dict(line.split(None, 1) for line in listed.splitlines())
        for path in sorted(PAGES.iterdir()):
            text = path.read_text(encoding="utf-8")
            lines = text.splitlines()
            with self.subTest(page=path.name):
                done = self.explain(path.stem)
                self.assertEqual((done.returncode, done.stdout, done.stderr), (0, text, ""))
                self.assertEqual(lines[0], titles[path.stem])
                self.assertTrue(12 <= len(lines) <= 35, len(lines))
                self.assertEqual([line for line in lines if len(line) > 78 or line != line.rstrip()], [])

    def test_unknown_page_names_the_nearest(self):
        done = self.explain("agent.gat")
        self.assertEqual((done.returncode, done.stdout), (3, ""))
        self.assertIn("there is no check 'agent.gat'. Did you mean agent.gate", done.stderr)
