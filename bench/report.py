"""Writes what was measured: JSON for tools, a Markdown page, and its picture."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

AIMS = {
    "get an instance, ms": 3.0,
    "a listed instance, µs": 100.0,
}


def write(results: dict[str, Any], docs: Path) -> None:
    """``performance.json``, ``performance.md`` and ``performance.svg`` in ``docs``."""
    (docs / "performance.json").write_text(json.dumps(results, indent=2) + "\n")
    (docs / "performance.svg").write_text(picture(results["latency"]))
    (docs / "performance.md").write_text(page(results))


def page(results: dict[str, Any]) -> str:
    """The Markdown page."""
    lines = [
        "# Performance",
        "",
        f"Made by `make bench` with gstack {results['version']}, Python {results['python']}, {results['cores']} cores",
        "that client, gateway and embedded CloudStack shared. One run; medians. The embedded one answers in a",
        "millisecond or two where a real one takes tens, so ratios against a real one are far smaller.",
        "",
        "![The gateway against direct calls](performance.svg)",
        "",
        "## One request at a time, against the direct CloudStack call in the same run",
        "",
        "| | gateway, ms | direct, ms | ratio |",
        "|---|---|---|---|",
    ]
    for name, row in results["latency"].items():
        lines.append(f"| {name} | {row['gateway_ms']:.1f} | {row['direct_ms']:.1f} | {row['ratio']:.2f} |")
    lines += ["", "## CPU of the gateway", "", "| | spent | aim |", "|---|---|---|"]
    for name, value in results["cpu"].items():
        aim = f"≤ {AIMS[name]:g}" if name in AIMS else ""
        lines.append(f"| {name} | {value:.2f} | {aim} |")
    lines += ["", "## Start and memory", "", "| | measured | aim |", "|---|---|---|"]
    lines.append(f"| start until the first answer, s | {results['start_seconds']:.2f} | < 2 |")
    for name, value in results["memory_mb"].items():
        lines.append(f"| {name.rsplit(' ', 1)[0]}, MB (proportional share) | {value:.0f} | < 150 |")
    lines += ["", "## Requests a second, and which server", ""]
    lines += [
        "granian serves: with many connections it answers cached catalogues quicker, and it speaks HTTP/2, which Go's",
        "clients and Terraform ask for. gunicorn needs less memory, and is no slower where CloudStack takes the time.",
        "",
    ]
    servers = list(results["throughput"])
    lines += ["| | " + " | ".join(f"{name}, a second (p99 ms)" for name in servers) + " |"]
    lines += ["|---" * (len(servers) + 1) + "|"]
    for scenario in next(iter(results["throughput"].values())):
        if scenario == "memory_mb":
            continue
        cells = []
        for name in servers:
            row = results["throughput"][name][scenario]
            failed = f", {row['failed']} failed" if row["failed"] else ""
            cells.append(f"{row['per_second']:.0f} ({row['p99_ms']:.0f}{failed})")
        lines.append(f"| {scenario} | " + " | ".join(cells) + " |")
    cells = [f"{results['throughput'][name]['memory_mb']:.0f}" for name in servers]
    lines += ["| memory of all processes, MB | " + " | ".join(cells) + " |", ""]
    return "\n".join(lines)


def picture(latency: dict[str, dict[str, float]]) -> str:
    """Bars, gateway beside direct, on a scale of its own for each row: the ratio is what counts."""
    row_height, width, label = 46, 720, 190
    height = row_height * len(latency) + 40
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        'font-family="sans-serif" font-size="13">',
        f'<rect width="{width}" height="{height}" fill="white"/>',
        '<rect x="190" y="10" width="12" height="12" fill="#1a73e8"/><text x="208" y="21">gateway</text>',
        '<rect x="290" y="10" width="12" height="12" fill="#9aa0a6"/><text x="308" y="21">CloudStack directly</text>',
    ]
    for number, (name, row) in enumerate(latency.items()):
        y = 36 + number * row_height
        most = max(row["gateway_ms"], row["direct_ms"])
        parts.append(f'<text x="{label - 8}" y="{y + 20}" text-anchor="end">{name}</text>')
        for offset, key, colour in ((0, "gateway_ms", "#1a73e8"), (16, "direct_ms", "#9aa0a6")):
            bar = row[key] / most * 380
            parts.append(f'<rect x="{label}" y="{y + offset}" width="{bar:.0f}" height="13" fill="{colour}"/>')
            parts.append(f'<text x="{label + bar + 6:.0f}" y="{y + offset + 11}">{row[key]:.1f} ms</text>')
        parts.append(f'<text x="{width - 12}" y="{y + 20}" text-anchor="end">{row["ratio"]:.2f} x</text>')
    return "\n".join([*parts, "</svg>", ""])
