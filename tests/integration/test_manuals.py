# SPDX-License-Identifier: Apache-2.0
"""What administrators read is what the programs do: man pages, completions and the journal catalog, held against
--help, tee.conf, the agent itself and the sources."""

import os
import pathlib
import pty
import re
import select
import shutil
import subprocess
import tempfile
import time
import unittest

from journald import Journald
from manuals import (CATALOG, COMPLETIONS, MAN, PAGES, SETTINGS, catalog, commands, help_options, help_statuses,
                     man_examples, man_options, man_settings, man_statuses, message_ids, parse_config, read, sources,
                     users_of)
from places import AGENT, BUILD, ROOT, patience

BASH_COMPLETION = "/usr/share/bash-completion/bash_completion"
EX_USAGE = 64
EX_CONFIG = 78

# Reads cases, one a line: the command line, then its words, each ended by \x1f. Prints what is offered likewise.
COMPLETE = r"""
source "$1" && source "$2" || exit
function=$(complete -p "$3") && function=${function##*-F } && function=${function%% *}
while IFS= read -r case; do
        mapfile -t -d $'\x1f' COMP_WORDS < <(printf %s "$case")
        COMP_LINE=${COMP_WORDS[0]} COMP_POINT=${#COMP_WORDS[0]} COMP_WORDS=("${COMP_WORDS[@]:1}") COMPREPLY=()
        COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
        "$function" "$3" "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
        printf '%s\x1f' "${COMPREPLY[@]}"
        echo
done
"""


def run(*command, **options):
    options = {"stdin": subprocess.DEVNULL, **options} if "input" not in options else options
    return subprocess.run([str(word) for word in command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                          timeout=patience(60), check=False, **options)


class TestCase(unittest.TestCase):
    def assert_said(self, done, status=0, stderr=""):
        self.assertEqual((done.returncode, done.stderr), (status, stderr), done)
        return done.stdout

    def folder(self):
        folder = pathlib.Path(tempfile.mkdtemp(prefix="tee-test-"))
        self.addCleanup(shutil.rmtree, folder)
        return folder


class ManPages(TestCase):
    def test_each_is_clean(self):
        pages = sorted(MAN.iterdir())
        self.assertLessEqual({SETTINGS, *PAGES.values()}, set(pages))
        for page in pages:
            with self.subTest(page=page.name):
                self.assertEqual(self.assert_said(run("mandoc", "-T", "lint", "-W", "warning", page)), "")

    def test_each_reference_to_one_of_ours_leads_somewhere(self):
        texts = [read(page) for page in MAN.iterdir()]
        named = {f"{name}.{section}" for text in texts for name, section in re.findall(r"Xr (tee[.-]\S+) (\d)", text)}
        named |= {f"{name}.{section}" for name, section in re.findall(r"man:(\S+)\((\d)\)", read(CATALOG))}
        self.assertLessEqual(named, {page.name for page in MAN.iterdir()})

    def test_options_are_those_of_the_help(self):
        for program in PAGES:
            with self.subTest(program=program):
                self.assertGreater(len(help_options(program)), 2)
                self.assertEqual(sorted(man_options(program)), sorted(help_options(program).items()))

    def test_options_that_are_only_mentioned_exist(self):
        for program, page in PAGES.items():
            with self.subTest(program=program):
                mentioned = re.findall(r"Fl -([a-z][a-z-]*)", read(page))
                self.assertLessEqual(set(mentioned), set(help_options(program)))

    def test_options_in_examples_exist(self):
        count = 0
        for path in (*MAN.iterdir(), CATALOG, ROOT / "README.md"):
            for program, names in commands(read(path)):
                with self.subTest(path=path.name, program=program):
                    self.assertLessEqual(set(names), set(help_options(program)))
                    count += len(names)
        self.assertGreater(count, 20)

    def test_exit_statuses_are_those_of_the_help(self):
        for program in PAGES:
            with self.subTest(program=program):
                self.assertGreater(len(man_statuses(program)), 2)
                self.assertEqual(man_statuses(program), help_statuses(program))

    def test_journal_fields_are_those_that_the_agent_writes(self):
        written = set(re.findall(r'"(TEE_[A-Z_]+)=', read(ROOT / "agent" / "journal.c")))
        self.assertGreater(len(written), 2)
        self.assertEqual(set(re.findall(r"^\.It Li (TEE_\w+)$", read(PAGES["tee-agent"]), re.MULTILINE)), written)


class Settings(TestCase):
    def setUp(self):
        self.config = self.folder() / "tee.conf"
        self.shipped = parse_config(read(ROOT / "conf" / "tee.conf"))

    def start(self, text):
        """Without a socket the agent only reads its configuration."""
        self.config.write_text(text, encoding="utf-8")
        environment = {name: value for name, value in os.environ.items()
                       if name != "DISABLE_GVISOR" and not name.startswith("LISTEN_")}
        return run(AGENT, "--config", self.config, env=environment)

    def test_each_setting_is_there_with_its_default(self):
        documented = man_settings()
        self.assertGreater(len(documented), 30)
        self.assertEqual(sorted(documented), sorted(self.shipped))
        for name, (default, _) in documented.items():
            with self.subTest(name=name):
                self.assertEqual(default, self.shipped[name] if default else None)

    def test_what_has_no_default_of_its_own_is_in_the_runtime_that_is_built_in(self):
        built_in = parse_config(man_examples()[0])
        self.assertEqual(built_in, {name: value for name, value in self.shipped.items() if name.startswith("runtimes.")})
        without = {name for name, (default, _) in man_settings().items() if default is None}
        self.assertEqual(without, {f"runtimes.deno.{name}" for name in ("image", "entry", "command", "warm_arguments")})

    def test_ranges_are_those_that_the_agent_enforces(self):
        for name, (default, bounds) in man_settings().items():
            is_number = isinstance(default, str) and re.fullmatch(r"[\d.]+", default) is not None
            self.assertEqual(bounds is not None, is_number, name)
            if not bounds:
                continue
            with self.subTest(name=name):
                *groups, last = name.split(".")
                required = 'image = "a"; entry = "a"; command = [ "a" ];' if groups[0] == "runtimes" else ""
                text = f"{last} = -1;"
                for group in reversed(groups):
                    text = f"{group} = {{ {required if group == 'deno' else ''} {text} }};"
                done = self.start(text)
                self.assertEqual(done.returncode, EX_CONFIG, done)
                self.assertIn(f": {name}: ", done.stderr)
                self.assertTrue(done.stderr.endswith(f" must be from {bounds[0]} to {bounds[1]}\n"), done.stderr)

    def test_examples_are_configurations(self):
        self.assertGreater(len(man_examples()), 1)
        for text in man_examples():
            with self.subTest(text=text):
                done = self.start(text)
                self.assertEqual((done.returncode, done.stderr.count("\n")), (EX_USAGE, 1), done)
                self.assertIn("sockets were passed", done.stderr)


class Catalog(TestCase):
    def database(self):
        """A root folder whose catalog is ours alone."""
        root = self.folder()
        (root / "usr/lib/systemd/catalog").mkdir(parents=True)
        shutil.copy(CATALOG, root / "usr/lib/systemd/catalog")
        self.assert_said(run("journalctl", f"--root={root}", "--update-catalog"))
        return root

    def test_each_message_id_has_an_entry_and_each_entry_its_source(self):
        self.assertGreaterEqual(len(message_ids()), 27)
        self.assertEqual(sorted(number for number, _, _ in catalog()), sorted(message_ids()))
        self.assertEqual([name for name in message_ids().values() if not users_of(name)], [])

    def test_each_entry_says_what_happened_and_more(self):
        for number, headers, body in catalog():
            with self.subTest(number=number):
                self.assertEqual(list(headers), ["Subject", "Defined-By", "Support", "Documentation"])
                self.assertEqual(headers["Defined-By"], "tee-agent")
                self.assertGreater(len(body.split()), 10)
                self.assertLessEqual(max(map(len, body.splitlines())), 78)

    def test_fields_that_are_filled_in_are_written_by_the_program(self):
        for number, headers, body in catalog():
            for field in re.findall(r"@(\w+)@", headers["Subject"] + body):
                self.assertTrue(any(f'"{field}=' in text for text in users_of(message_ids()[number])), (number, field))

    def test_each_message_id_is_in_a_man_page(self):
        listed = {found for page in MAN.iterdir()
                  for found in re.findall(r"^\.It ([0-9a-f]{32})$", read(page), re.MULTILINE)}
        self.assertEqual(listed, set(message_ids()))

    def test_no_message_id_goes_unseen_for_being_written_otherwise(self):
        for path, text in sources():
            for second in re.findall(r"\blog_record\([^,;]+,\s*([^,;]+),", text):
                with self.subTest(path=path.name, argument=second):
                    self.assertRegex(second, r"^(NULL|\(?message_id\)?|const char \*message_id|MESSAGE_\w+|\w+_message_id\(.*)$")
            if path.name != "message-ids.h":
                self.assertEqual(re.findall(r'"[0-9a-f]{32}"', text), [], path)

    def test_journalctl_takes_it(self):
        listed = self.assert_said(run("journalctl", f"--root={self.database()}", "--list-catalog"))
        self.assertEqual(sorted(line.split()[0] for line in listed.splitlines()), sorted(message_ids()))
        self.assertEqual({line.split()[1] for line in listed.splitlines()}, {"tee-agent:"})

    def test_journalctl_explains_a_record(self):
        root = self.database()
        journal = Journald(root / "journald.log")
        self.addCleanup(journal.close)
        inside = ["nsenter", f"--mount=/proc/{journal.process.pid}/ns/mnt", "--"]
        self.assert_said(run(*inside, "mount", "--bind", root / "var/lib/systemd/catalog", "/var/lib/systemd/catalog"))
        for number, headers, body in catalog():
            with self.subTest(number=number):
                fields = set(re.findall(r"@(\w+)@", headers["Subject"] + body))
                record = f"MESSAGE_ID={number}\nMESSAGE=what happened\n" + "".join(f"{one}=canary\n" for one in fields)
                self.assert_said(run(*inside, "logger", "--journald", input=record))
                journal.wait_entry(MESSAGE_ID=number)
                shown = self.assert_said(run(*inside, "journalctl", "--quiet", "--catalog", "--directory",
                                             "/run/log/journal", f"MESSAGE_ID={number}"))
                self.assertIn(re.sub(r"@\w+@", "canary", headers["Subject"]), shown)
                self.assertIn(re.sub(r"@\w+@", "canary", body.splitlines()[-1]), shown)
                self.assertNotIn("@", shown)


class Completions(TestCase):
    def offers(self, program, lines, folder="/"):
        """What is offered at the end of each of these command lines."""
        cases = "".join("".join(f"{part}\x1f" for part in (line, *words_of(line))) + "\n" for line in lines)
        done = run("bash", "--norc", "--noprofile", "-c", COMPLETE, "complete", BASH_COMPLETION, COMPLETIONS / program,
                   program, input=cases, cwd=folder)
        offered = [line.split("\x1f")[:-1] for line in self.assert_said(done).splitlines()]
        self.assertEqual(len(offered), len(lines))
        return [sorted(filter(None, words)) for words in offered]

    def test_there_is_one_for_each_program(self):
        self.assertEqual(sorted(path.name for path in COMPLETIONS.iterdir()), sorted(PAGES))
        for path in COMPLETIONS.iterdir():
            self.assertEqual(self.assert_said(run("bash", "-n", path)), "")

    def test_options_are_those_of_the_help(self):
        for program in PAGES:
            with self.subTest(program=program):
                offered, = self.offers(program, [f"{program} --"])
                self.assertEqual(offered, sorted(f"--{name}" for name in help_options(program)))

    def test_an_option_that_takes_an_argument_is_followed_by_it_and_then_by_others(self):
        for program in PAGES:
            options = {f"--{name}": argument for name, (_, argument) in help_options(program).items()}
            options |= {f"-{short}": argument for short, argument in help_options(program).values() if short}
            offered = self.offers(program, [f"{program} {option} --" for option in options])
            later = self.offers(program, [f"{program} {option} {'x ' * options[option]}--" for option in options])
            for option, words, words_later in zip(options, offered, later):
                with self.subTest(program=program, option=option):
                    self.assertEqual("--help" in words, not options[option], words)
                    self.assertIn("--help", words_later)

    def test_words_that_are_offered_for_an_option_are_taken(self):
        names = ("with-runtime", "source", "channel", "platform", "docker", "adapter")
        offered = self.offers("tee-install", [f"tee-install --{name} " for name in names], self.folder())
        self.assertEqual(offered, self.offers("tee-install", [f"tee-install --{name}=" for name in names], self.folder()))
        for name, words in zip(names, offered):
            self.assertGreater(len(words), 1, name)
            for word in words:
                self.assert_said(run(BUILD / "tee-install", f"--{name}", word, "--help"))

    def test_files(self):
        folder = self.folder()
        (folder / "file").touch()
        (folder / "folder").mkdir()
        both = ["file", "folder"]
        expected = {
            "tee-agent --config f": both, "tee-agent -c f": both, "tee-agent f": [],
            "tee-bench --svg f": both, "tee-bench --config=f": both, "tee-bench --json=f": [], "tee-bench --runs f": [],
            "tee-install --key-file f": both, "tee-install --offline f": ["folder"], "tee-install --mirror f": [],
            "tee-install --adapter=f": both, "tee-install --guest=f": both, "tee-install f": [],
            "tee-run f": both, "tee-run --stdin f": both, "tee-run --timeout f": [], "tee-run -r f": [],
            "tee-run --timeout 5s f": both, "tee-run --json f": both, "tee-run -- f": both, "tee-run --env=A=B f": both,
            "tee-run file f": both, "tee-run file --runtime f": both, "tee-run file --": [], "tee-run - --": [],
        }
        for program in PAGES:
            lines = [line for line in expected if line.split()[0] == program]
            self.assertEqual(dict(zip(lines, self.offers(program, lines, folder))), {line: expected[line] for line in lines})

    def test_without_bash_completion_nothing_happens(self):
        for program in PAGES:
            with self.subTest(program=program):
                done = run("bash", "--norc", "--noprofile", "-euc", 'source "$1"; complete -p', "bare", COMPLETIONS / program)
                self.assertEqual(self.assert_said(done), "")

    def test_a_shell_finds_it_by_itself(self):
        folder = self.folder()
        (folder / "bash-completion").mkdir()
        (folder / "bash-completion" / "completions").symlink_to(COMPLETIONS)
        environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "TERM": "dumb", "XDG_DATA_DIRS": str(folder)}
        ours, its = pty.openpty()
        self.addCleanup(os.close, ours)
        shell = subprocess.Popen(["setsid", "--ctty", "bash", "--noprofile", "--rcfile", BASH_COMPLETION, "-i"],
                                 stdin=its, stdout=its, stderr=its, env=environment, cwd=folder)
        os.close(its)
        self.addCleanup(shell.wait, 10)
        self.addCleanup(shell.kill)
        os.write(ours, b"tee-install --wi")
        shown = b""
        deadline = time.monotonic() + patience(20)
        while not all(word in shown for word in (b"--with-docker", b"--with-gvisor", b"--with-runtime")):
            self.assertLess(time.monotonic(), deadline, shown)
            if select.select([ours], [], [], 0.2)[0]:
                shown += os.read(ours, 65536)
            else:
                os.write(ours, b"\t")


def words_of(line):
    """As readline splits them: at white space, and "=" is a word of its own."""
    words = re.findall(r"=|[^\s=]+", line)
    return words if line[-1] not in " =" else [*words, ""]
