# SPDX-License-Identifier: Apache-2.0
"""The figures as tables and as a chart."""

BARE = "bare deno run"
COLOURS = {"bare deno run": "#9aa5b1", "bwrap": "#9aa5b1", "docker run, runc": "#9aa5b1",
           "docker run, runsc": "#2b6cb0", "tee, cold": "#2b6cb0", "tee-run, warm": "#dd6b20", "tee, warm": "#dd6b20"}


def table(head, rows):
    rows = [head, *rows]
    widths = [max(len(row[column]) for row in rows) for column in range(len(head))]
    lines = ["| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths)) + " |" for row in rows]
    return "\n".join([lines[0], "|" + "|".join("-" * (width + 2) for width in widths) + "|", *lines[1:]])


def latency_table(figures):
    ways = figures["latency"]["ways"]
    bare = ways[BARE]["p50"]
    rows = [[name, f"{one['p50']:.1f} ms", f"{one['p99']:.1f} ms", f"{one['p50'] / bare:.2f} ×"]
            for name, one in ways.items()]
    phases = ", ".join(f"{name.removesuffix('_ms')} {value:.1f}"
                       for name, value in figures["latency"]["warm_phases_p50"].items())
    return (table(["way", "p50", "p99", "p50 to bare"], rows)
            + f"\n\nThe warm result's own timing, p50 in ms: {phases}.")


def load_table(figures):
    clients = list(next(iter(figures["load"].values())))
    rows = [[name, *(f"{rates[count]:.2f}" for count in clients)] for name, rates in figures["load"].items()]
    return table(["programs a second", *(f"{count} clients" for count in clients)], rows)


def burst_table(figures):
    rows = [[str(warm), f"{one['slowest']['p50']:.1f} ms", f"{one['slowest']['max']:.1f} ms", f"{one['bare']['p50']:.1f} ms",
             f"{one['slowest']['p50'] / one['bare']['p50']:.2f} ×"] for warm, one in figures["burst"].items()]
    return table(["burst of", "slowest answer, p50", "max", "bare, p50", "ratio"], rows)


def cost_table(figures):
    rows = []
    if "crowd" in figures:
        one = figures["crowd"]
        rows += [[f"memory of a warm sandbox, of {one['sandboxes']}, all its processes", f"{one['sandbox_mb_mean']:.1f} MB"],
                 ["the same, by what the host has less", f"{one['host_mb_each']:.1f} MB"],
                 ["agent's resident memory with them", f"{one['agent_mb']:.1f} MB"],
                 ["agent's resident memory with one", f"{one['agent_mb_with_one']:.1f} MB"]]
    if "growth" in figures:
        rows += [[f"warm over HTTP with {warm} ready, p50", f"{one['p50']:.1f} ms"]
                 for warm, one in figures["growth"].items()]
    if "long_run" in figures:
        one = figures["long_run"]
        memory = " ".join(f"{value:.1f}" for value in one["agent_mb"])
        rows += [["agent's CPU for an execution, its sandbox's making included", f"{one['agent_cpu_ms']:.2f} ms"],
                 [f"agent's resident memory over {one['executions']} executions, MB", memory]]
    return table(["figure", "measured"], rows)


def goals(figures):
    """(what, bound, measured, reached) of what docs/PERFORMANCE.md wants to reach."""
    found = []

    def goal(what, bound, value, form, most=True):
        found.append((what, ("≤ " if most else "≥ ") + form.format(bound), form.format(value),
                      value <= bound if most else value >= bound))

    if "latency" in figures:
        ways = figures["latency"]["ways"]
        bare, warm = ways[BARE], ways["tee, warm"]
        goal("warm over HTTP, p50, to bare", 0.5, warm["p50"] / bare["p50"], "{:.2f} ×")
        goal("warm over HTTP, p99, to bare's p50", 1.5, warm["p99"] / bare["p50"], "{:.2f} ×")
        goal("docker run with runsc, to warm", 50, ways["docker run, runsc"]["p50"] / warm["p50"], "{:.1f} ×", most=False)
    for size, one in figures.get("burst", {}).items():
        goal(f"burst of {size}: slowest answer, to bare", 3, one["slowest"]["p50"] / one["bare"]["p50"], "{:.2f} ×")
    if "load" in figures:
        best = {name: max(rates.values()) for name, rates in figures["load"].items()}
        goal("sustained, to docker run with runsc, each at its best", 1.35, best["tee"] / best["docker run, runsc"],
             "{:.2f} ×", most=False)
    if "crowd" in figures:
        goal(f"agent's memory with {figures['crowd']['sandboxes']} warm", 12, figures["crowd"]["agent_mb"], "{:.1f} MB")
        goal("memory of a warm sandbox", 25, figures["crowd"]["sandbox_mb_mean"], "{:.1f} MB")
    if "growth" in figures:
        few, many = figures["growth"].values()
        goal("p50 with many warm, to few", 1.2, many["p50"] / few["p50"], "{:.2f} ×")
    if "long_run" in figures:
        one = figures["long_run"]
        goal("agent's CPU for an execution", 1.5, one["agent_cpu_ms"], "{:.2f} ms")
        half = len(one["agent_mb"]) // 2
        goal("agent's memory, end to middle", 1.05, one["agent_mb"][-1] / one["agent_mb"][half - 1], "{:.3f} ×")
    return found


def tables(figures):
    machine = ", ".join(f"{name} {value}" for name, value in figures["machine"].items())
    parts = [f"Measured on: {machine}"]
    for name, form in (("latency", latency_table), ("burst", burst_table), ("load", load_table)):
        if name in figures:
            parts.append(form(figures))
    if {"crowd", "growth", "long_run"} & figures.keys():
        parts.append(cost_table(figures))
    parts.append(table(["to be reached", "bound", "measured", ""],
                       [[what, bound, value, "yes" if reached else "NO"] for what, bound, value, reached in goals(figures)]))
    return "\n\n".join(parts)


def chart(figures):
    """Bars on one scale, cut where docker run would dwarf the rest no further than it does."""
    ways = figures["latency"]["ways"]
    left, width, height, step, head = 150, 440, 18, 26, 58
    scale = width / max(one["p99"] for one in ways.values())
    bottom = head + step * len(ways) + 22
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 720 {bottom}" role="img" '
             'font-family="system-ui, sans-serif" font-size="12">',
             "<title>One TypeScript program, from its sending to its whole output</title>",
             "<style>",
             "  svg { background: #fff; } text { fill: #222; } .value { fill: #666; } .tail { stroke: #888; }",
             "  .title { font-size: 15px; font-weight: 600; } .name { text-anchor: end; }",
             "  @media (prefers-color-scheme: dark) { svg { background: #16191d; } text { fill: #e6e6e6; }"
             " .value { fill: #a0a8b0; } }",
             "</style>",
             '<text class="title" x="12" y="22">One TypeScript program, from its sending to its whole output</text>',
             f'<text class="value" x="12" y="40">p50, and a line to p99, of {ways[BARE]["runs"]} runs each, in turn; '
             "blue and orange run in gVisor</text>"]
    for index, (name, one) in enumerate(ways.items()):
        y = head + step * index
        p50, p99 = left + one["p50"] * scale, left + one["p99"] * scale
        parts.append(f'<text class="name" x="{left - 8}" y="{y + 13}">{name}</text>'
                     f'<rect x="{left}" y="{y}" width="{p50 - left:.1f}" height="{height}" rx="2" fill="{COLOURS[name]}"/>'
                     f'<path class="tail" d="M{p50:.1f} {y + height / 2} H{p99:.1f}"/>'
                     f'<text class="value" x="{p99 + 6:.1f}" y="{y + 13}">{one["p50"]:.0f} ms</text>')
    return "\n".join([*parts, "</svg>"]) + "\n"
