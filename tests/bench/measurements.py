# SPDX-License-Identifier: Apache-2.0
"""The parts of the benchmark. Each returns plain figures: times in milliseconds, memory in MB (2^20 bytes)."""

import contextlib
import dataclasses
import os
import pathlib
import platform
import re
import subprocess
import threading
import time

import harness
from engine import docker
from harness import Agent, Background
from places import wait_for
from ways import Http, Places

@dataclasses.dataclass
class Sizes:
    rounds: int  # of each way
    bursts: int  # of each size
    burst_sizes: tuple
    clients: tuple  # how many at once
    load_turns: int  # for each number of clients and each way
    load_seconds: float  # of each turn
    crowd: int  # sandboxes that stand ready at once
    executions: int  # of the long run


FULL = Sizes(rounds=40, bursts=15, burst_sizes=(2, 4, 8), clients=(1, 2, 4, 8), load_turns=3, load_seconds=5,
             crowd=32, executions=2000)
QUICK = Sizes(rounds=1, bursts=1, burst_sizes=(2,), clients=(1, 2), load_turns=1, load_seconds=0.5, crowd=3, executions=40)


def machine():
    info = docker().call("GET", "/info").json
    return {"cpus": os.cpu_count(), "kernel": platform.release(), "system": info["OperatingSystem"],
            "docker": info["ServerVersion"], "cgroup": info["CgroupVersion"],
            "runsc": subprocess.run(["runsc", "--version"], capture_output=True, text=True, check=True).stdout.split()[2]}


def quantile(values, percent):
    """The nearest rank."""
    ordered = sorted(values)
    return ordered[max(0, -(-len(ordered) * percent // 100) - 1)]


def summary(values):
    return {"p50": quantile(values, 50), "p99": quantile(values, 99), "min": min(values), "max": max(values),
            "runs": len(values)}


def timed(call):
    begin = time.perf_counter()
    call()
    return (time.perf_counter() - begin) * 1000


@contextlib.contextmanager
def agent_with(name, max_running=4, **pool):
    """An agent with the runtime "deno", which is never warm, and "warm"."""
    changes = {"agent": {"max_running": max_running, "queue_length": 64}, "runtimes": {"warm": harness.warm_deno(**pool)}}
    agent = Agent(f"bench-{name}", changes).start().wait_open(60)
    try:
        yield agent
        agent.account()
    finally:
        agent.close()


def pool_of(agent):
    return agent.get("/v1/status").json["runtimes"]["warm"]["pool"]


def wait_ready(agent, count, seconds=60):
    wait_for(f"{count} sandboxes that stand ready", lambda: pool_of(agent)["ready"] == count, seconds)


def busy_ticks():
    """Of all processors together since the machine's start, in clock ticks of 10 ms (proc(5), /proc/stat)."""
    words = pathlib.Path("/proc/stat").read_text().splitlines()[0].split()
    user, nice, system, _, _, irq, softirq = (int(word) for word in words[1:8])
    return user + nice + system + irq + softirq


def is_at_rest():
    """At most one tick of processor time is used while we look."""
    before = busy_ticks()
    time.sleep(0.1)
    return busy_ticks() - before <= 1


def wait_settled(agent, count):
    """The pool is full, and what was used has been removed."""
    wait_ready(agent, count)
    wait_for("the used sandboxes' end", lambda: len(docker().containers(agent.instance)) == count, 30)


def wait_quiet(agent, count, seconds=5):
    """Settled, and the processors are at rest, for which a machine that has other work gets so many seconds."""
    wait_settled(agent, count)
    until = time.monotonic() + seconds
    while not is_at_rest() and time.monotonic() < until:
        pass


# --- one program at a time ---


def latency(sizes):
    """Each way in turn; before each, the pool is full and at rest."""
    place = Places()
    with agent_with("latency", warm=2, max=8, creating=1) as agent:
        warm = Http(agent, "warm", True)
        ways = {"bare deno run": place.bare(), "bwrap": place.bwrap(), "docker run, runc": place.docker_run("runc"),
                "docker run, runsc": place.docker_run("runsc"), "tee, cold": Http(agent, "deno", False),
                "tee-run, warm": place.tee_run(agent, "warm"), "tee, warm": warm}
        times = {name: [] for name in ways}
        inside = []
        for turn in range(sizes.rounds + 1):
            names = list(ways)
            names = names[turn % len(names):] + names[:turn % len(names)]
            for name in names:
                wait_quiet(agent, 2)
                took = timed(ways[name])
                if turn > 0:  # the first fills caches
                    times[name].append(took)
                    if name == "tee, warm":
                        inside.append(warm.result["timing"])
        result = {name: summary(values) for name, values in times.items()}
        phases = {phase: quantile([one[phase] for one in inside], 50) for phase in inside[0]}
        return {"ways": result, "warm_phases_p50": phases}


# --- many at a time ---


def hammer(calls, seconds):
    """Each call again and again in a thread of its own; returns how many programs have run."""
    counts = [0] * len(calls)
    stop = time.monotonic() + seconds

    def loop(index):
        while time.monotonic() < stop and counts[index] < 10000:
            calls[index]()
            counts[index] += 1

    for thread in [Background(lambda index=index: loop(index)) for index in range(len(calls))]:
        thread.result(seconds + 120)
    return sum(counts)


def load(sizes):
    """Sustained: every program has a sandbox of its own. The two take turns of a few seconds, each of which ends when
    all is as it was at its begin: tee's pool full again, and no container left to be removed."""
    place = Places()
    rates = {"tee": {}, "docker run, runsc": {}}
    for clients in sizes.clients:
        with agent_with("load", max_running=8, warm=2, max=16, creating=2) as agent:
            ways = {"tee": [Http(agent, "warm", None) for _ in range(clients)],
                    "docker run, runsc": [place.docker_run("runsc")] * clients}
            programs, took = dict.fromkeys(ways, 0), dict.fromkeys(ways, 0.0)
            for _ in range(sizes.load_turns):
                for name, calls in ways.items():
                    wait_quiet(agent, 2)
                    begin = time.monotonic()
                    programs[name] += hammer(calls, sizes.load_seconds)
                    wait_settled(agent, 2)
                    took[name] += time.monotonic() - begin
        for name in ways:
            rates[name][clients] = programs[name] / took[name]
    return rates


def burst(sizes):
    """As many requests at once as sandboxes stand ready, and a bare deno run before each burst."""
    place = Places()
    bare = place.bare()
    figures = {}
    for warm in sizes.burst_sizes:
        slowest, alone = [], []
        with agent_with("burst", max_running=8, warm=warm, max=24, creating=1) as agent:
            calls = [Http(agent, "warm", True) for _ in range(warm)]
            for turn in range(sizes.bursts + 1):
                wait_quiet(agent, warm)
                took = timed(bare)
                ready = threading.Barrier(warm)

                def one(call):
                    ready.wait()
                    return timed(call)

                times = [thread.result() for thread in [Background(lambda call=call: one(call)) for call in calls]]
                if turn > 0:
                    alone.append(took)
                    slowest.append(max(times))
        figures[warm] = {"slowest": summary(slowest), "bare": summary(alone)}
    return figures


# --- what it costs ---


def processes_of(instance):
    """Process ids by container, for each container of the agent: its shim, and all that descend from it."""
    ids = {one["Id"] for one in docker().containers(instance)}
    parents, shims = {}, {}
    for entry in pathlib.Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError, ValueError):
                parents[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
                words = (entry / "cmdline").read_bytes().decode(errors="replace").split("\0")
                if "containerd-shim" in words[0] and ids & set(words):
                    shims[int(entry.name)] = next(iter(ids & set(words)))
    found = {shim: [shim] for shim in shims}
    for pid in parents:
        ancestor, steps = pid, 0
        while ancestor in parents and ancestor not in shims and steps < 64:
            ancestor, steps = parents[ancestor], steps + 1
        if ancestor in shims and pid != ancestor:
            found[ancestor].append(pid)
    return {shims[shim]: pids for shim, pids in found.items()}


def proportional_mb(pid):
    """Memory of a process, with what it shares divided among those who share it."""
    with contextlib.suppress(OSError, AttributeError):
        rollup = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text()
        return int(re.search(r"^Pss:\s+(\d+) kB", rollup, re.MULTILINE).group(1)) / 1024
    return 0.0


def available_mb():
    return int(re.search(r"MemAvailable:\s+(\d+)", pathlib.Path("/proc/meminfo").read_text()).group(1)) / 1024


def crowd(sizes):
    """Many sandboxes that stand ready: what each takes, and what the agent takes for them."""
    with agent_with("crowd", warm=1, max=1, creating=1) as agent:
        wait_quiet(agent, 1)
        before, alone = available_mb(), agent.resident_kb() / 1024
    with agent_with("crowd", warm=sizes.crowd, max=sizes.crowd + 4, creating=2) as agent:
        wait_ready(agent, sizes.crowd, 300)
        found = processes_of(agent.instance)
        if len(found) != sizes.crowd:
            raise AssertionError(f"{len(found)} shims for {sizes.crowd} sandboxes")
        each = [sum(proportional_mb(pid) for pid in pids) for pids in found.values()]
        return {"sandboxes": sizes.crowd, "sandbox_mb": summary(each), "sandbox_mb_mean": sum(each) / len(each),
                "host_mb_each": (before - available_mb()) / (sizes.crowd - 1), "agent_mb": agent.resident_kb() / 1024,
                "agent_mb_with_one": alone, "processes_each": max(len(pids) for pids in found.values())}


def cpu_seconds(pid):
    """Of its only thread, in nanoseconds' precision."""
    return int(pathlib.Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9


def growth(sizes):
    """Is it as fast with many ready as with few? Both in turn, each alone on the machine."""
    times = {2: [], sizes.crowd: []}
    for _ in range(2):
        for warm, values in times.items():
            with agent_with("growth", warm=warm, max=sizes.crowd + 4, creating=2) as agent:
                call = Http(agent, "warm", True)
                for turn in range(-(-sizes.rounds // 2) + 1):
                    wait_quiet(agent, warm) if turn else wait_ready(agent, warm, 300)
                    took = timed(call)
                    if turn > 0:
                        values.append(took)
    return {str(warm): summary(values) for warm, values in times.items()}


def long_run(sizes):
    """One after the other, and how the agent's memory goes; its own CPU, for making the sandboxes, too."""
    with agent_with("long", max_running=8, warm=2, max=16, creating=2) as agent:
        calls = [Http(agent, "warm", None) for _ in range(4)]
        wait_quiet(agent, 2)
        cpu, memory, slowest = cpu_seconds(agent.process.pid), [], 0.0
        steps, each = 10, max(1, sizes.executions // 10 // len(calls))
        begin = time.monotonic()
        for _ in range(steps):
            def some(call):
                return max(timed(call) for _ in range(each))

            slowest = max([slowest] + [one.result(600) for one in
                                       [Background(lambda call=call: some(call)) for call in calls]])
            memory.append(agent.resident_kb() / 1024)
        wait_quiet(agent, 2)
        executions = steps * each * len(calls)
        return {"executions": executions, "agent_mb": memory, "slowest": slowest,
                "per_second": executions / (time.monotonic() - begin),
                "agent_cpu_ms": (cpu_seconds(agent.process.pid) - cpu) * 1000 / executions}


PARTS = (("latency", latency), ("burst", burst), ("load", load), ("crowd", crowd), ("growth", growth),
         ("long_run", long_run))
