# SPDX-License-Identifier: Apache-2.0
"""Prometheus' own promtool, and the samples of a scrape."""

import functools
import re
import subprocess

from places import ROOT, patience

SAMPLE = re.compile(r'([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)')
LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\[\\"n])*)"(?:,|$)')
ESCAPED = re.compile(r'\\([\\"n])')


@functools.lru_cache(maxsize=None)
def promtool_path():
    script = ROOT / "tests" / "dev" / "promtool"
    return subprocess.run([script], stdout=subprocess.PIPE, text=True, timeout=300, check=True).stdout.strip()


def promtool(*words, text=""):
    """What it says, on stdout and stderr, and its status."""
    done = subprocess.run([promtool_path(), *map(str, words)], input=text, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, timeout=patience(60), check=False)
    return done.stdout, done.returncode


class Scrape:
    """The samples of a text that promtool has nothing to say about, not even a hint."""

    def __init__(self, text):
        said = promtool("check", "metrics", text=text)
        assert said == ("", 0), f"promtool check metrics: {said}\n{text}"
        self.types = dict(re.findall(r"^# TYPE (\S+) (\S+)$", text, re.MULTILINE))
        self.samples = {}
        for line in text.splitlines():
            if not line.startswith("#"):
                self.add(line)

    def add(self, line):
        name, labels, value = SAMPLE.fullmatch(line).groups()
        pairs = LABEL.findall(labels or "")
        assert "".join(f'{key}="{text}",' for key, text in pairs).rstrip(",") == (labels or ""), line
        key = name, frozenset((key, ESCAPED.sub(unescaped, text)) for key, text in pairs)
        assert key not in self.samples, f"twice: {line}"
        self.samples[key] = float(value)

    def value(self, name, **labels):
        return self.samples[name, frozenset(labels.items())]

    def total(self, name, **labels):
        """The sum over all series that have these labels."""
        return sum(value for (one, its), value in self.samples.items()
                   if one == name and labels.items() <= dict(its).items())

    def labels(self, name, label):
        """The values that the label has."""
        return {dict(its)[label] for (one, its) in self.samples if one == name and label in dict(its)}

    def names(self):
        return {name for name, _ in self.samples}

    def since(self, before, name, **labels):
        return self.value(name, **labels) - before.value(name, **labels)


def unescaped(match):
    return "\n" if match.group(1) == "n" else match.group(1)
