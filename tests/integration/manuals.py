# SPDX-License-Identifier: Apache-2.0
"""What the programs' help, the man pages, tee.conf, the journal catalog and the sources say, as things to compare."""

import functools
import re
import subprocess

from places import BUILD, ROOT, patience

MAN = ROOT / "docs" / "man"
COMPLETIONS = ROOT / "packaging" / "completions"
CATALOG = ROOT / "units" / "tee-agent.catalog"
PAGES = {"tee-agent": MAN / "tee-agent.8", "tee-install": MAN / "tee-install.8",
         "tee-run": MAN / "tee-run.1", "tee-bench": MAN / "tee-bench.1", "tee-health": MAN / "tee-health.1"}
SETTINGS = MAN / "tee.conf.5"

OPTION = re.compile(r"(?<![\w-])(?:-(\w), )?--([a-z][a-z-]*)(?![\w=-])( [A-Z][A-Z:=]*\b)?")
MAN_OPTION = re.compile(r"^\.It (?:Fl (\w) , )?Fl -([a-z][a-z-]*)(?: Ns Op = Ns Ar \w+)?( Ar .*)?$", re.MULTILINE)
COMMAND = re.compile(rf"\b({'|'.join(PAGES)}) (.*--[a-z].*)")


def read(path):
    return path.read_text(encoding="utf-8")


# --- options and exit statuses ---


@functools.lru_cache(maxsize=None)
def help_of(program):
    done = subprocess.run([BUILD / program, "--help"], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          timeout=patience(10), check=True)
    return done.stdout


def help_options(program):
    """Of the program's --help: long name → (short name or None, does it take an argument)."""
    options = {}
    for short, name, argument in OPTION.findall(help_of(program)):
        old = options.get(name, (None, False))
        options[name] = (short or old[0], bool(argument) or old[1])
    return options


def man_options(program):
    """The same of its man page, as a list: an option that stands twice is there twice."""
    return [(name, (short or None, bool(argument))) for short, name, argument in MAN_OPTION.findall(read(PAGES[program]))]


def help_statuses(program):
    return set(re.findall(r"\b128\+N|\b\d{1,3}\b", help_of(program).partition("Exit status:")[2]))


def man_statuses(program):
    section = re.search(r"^\.Sh EXIT STATUS$(.*?)^\.Sh ", read(PAGES[program]), re.MULTILINE | re.DOTALL).group(1)
    return set(re.findall(r"^\.It (\S+)$", section, re.MULTILINE))


def commands(text):
    """Command lines of our programs that have options: (program, the options' long names)."""
    for program, rest in COMMAND.findall(text):
        yield program, re.findall(r"(?<!\S)--([a-z][a-z-]*)", rest)


# --- settings ---

CONFIG_TOKEN = re.compile(r'#[^\n]*|"(?:\\.|[^"\\])*"|[{}\[\]=;,]|[^\s{}\[\]=;,"#]+')
MAN_SETTING = re.compile(r"^\.It Va (\w+)(?: No = Li (.+?))?(?: Pq ([\d.]+) to ([\d.]+))?$")


def parse_config(text):
    """Settings of a libconfig text by their full names: a value's own text, or a list of them."""
    tokens = [token for token in CONFIG_TOKEN.findall(text) if not token.startswith("#")]
    settings = {}
    path = []
    position = 0
    while position < len(tokens):
        if tokens[position] == "}":
            path.pop()
            position += 1
        elif tokens[position] == ";":
            position += 1
        else:
            assert tokens[position + 1] == "=", tokens[position:position + 3]
            path.append(tokens[position])
            position += 2
            if tokens[position] == "{":
                position += 1
                continue
            end = position + 1 if tokens[position] != "[" else tokens.index("]", position) + 1
            value = tokens[position:end]
            settings[".".join(path)] = value[0] if len(value) == 1 else [one for one in value[1:-1] if one != ","]
            path.pop()
            position = end
    assert not path, path
    return settings


def man_settings():
    """Of tee.conf(5): full name → (default or None, (least, most) or None)."""
    settings = {}
    group = None
    for line in read(SETTINGS).splitlines():
        if line.startswith((".Sh ", ".Ss ")):
            group = line.removeprefix(".Ss ").replace(".NAME", ".deno")
        found = MAN_SETTING.match(line)
        if not found:
            continue
        name, default, least, most = found.groups()
        text = f"{group}.{name} = {default};".replace(r"\(dq", '"') if default else None
        bounds = (least, most) if least else None
        for full, value in (parse_config(text) if text else {f"{group}.{name}": None}).items():
            assert full not in settings, full
            settings[full] = (value, bounds)
    return settings


def man_examples():
    """The literal blocks of tee.conf(5)."""
    return re.findall(r"^\.Bd -literal\n(.*?)^\.Ed$", read(SETTINGS), re.MULTILINE | re.DOTALL)


# --- the journal ---


def sources():
    for folder in ("lib", "agent", "installer", "client", "health"):
        for path in sorted((ROOT / folder).glob("*.[ch]")):
            yield path, read(path)


def message_ids():
    """id → its name in lib/message-ids.h."""
    return {number: name for name, number in re.findall(r'^#define (MESSAGE_\w+) "([0-9a-f]{32})"$',
                                                        read(ROOT / "lib" / "message-ids.h"), re.MULTILINE)}


def users_of(name):
    """The texts of the sources that use it."""
    return [text for path, text in sources() if path.suffix == ".c" and re.search(rf"\b{name}\b", text)]


def catalog():
    """As a list of (id, headers, body)."""
    parts = re.split(r"^-- ([0-9a-f]{32})\n", read(CATALOG), flags=re.MULTILINE)[1:]
    for number, text in zip(parts[::2], parts[1::2]):
        head, _, body = text.partition("\n\n")
        yield number, dict(line.split(": ", 1) for line in head.splitlines()), body
