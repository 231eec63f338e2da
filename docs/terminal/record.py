#!/usr/bin/env python3
"""Draws a terminal in which postseal signs, verifies and catches a forgery: record.py POSTSEAL > docs/terminal/verify.svg

The commands run in a temporary folder, and what is drawn is what they print.
"""
import html
import os
import re
import subprocess
import sys
import tempfile

MESSAGE = "From: Alice <alice@example.org>\nTo: Bob <bob@example.net>\nSubject: Lunch?\nDate: Mon, 30 Nov 2026 09:00:00 +0000\n\nAt noon, at the usual place.\n"
COMMANDS = [
    "postseal sign -o signed.eml message.eml",
    "postseal verify signed.eml",
    "sed '1s/.*/From: Mallory <mallory@example.org>/' signed.eml > forged.eml",
    "postseal verify forged.eml",
]
COLOURS = {"31": "red", "32": "green", "33": "yellow", "36": "cyan", "2": "dim"}
STYLE = """
svg{font:13px ui-monospace,SFMono-Regular,Menlo,Consolas,monospace}
.page{fill:#fbfbfa;stroke:#d9d9d6}text{fill:#24292f;white-space:pre}.prompt{fill:#8a8f98}.typed{font-weight:600}.bold{font-weight:600}
.red{fill:#b42318}.green{fill:#18794e}.yellow{fill:#8a5a00}.cyan{fill:#0b6b8a}.dim{fill:#6b7280}
@media(prefers-color-scheme:dark){.page{fill:#15171a;stroke:#2c3036}text{fill:#e3e6ea}.prompt{fill:#7b828c}
.red{fill:#ff7b72}.green{fill:#56d364}.yellow{fill:#e3b341}.cyan{fill:#76d9e6}.dim{fill:#8b949e}}
"""
LINE, LEFT, TOP, WIDTH = 19, 18, 30, 780


def run(postseal, folder):
    """The lines of the terminal: pairs of whether a line was typed, and its text with ANSI escapes."""
    bin_folder = os.path.dirname(os.path.abspath(postseal))
    place = {**os.environ, "PATH": bin_folder + ":" + os.environ["PATH"], "POSTSEAL_HOME": os.path.join(folder, "home"), "CLICOLOR_FORCE": "1"}
    place.pop("NO_COLOR", None)
    with open(os.path.join(folder, "message.eml"), "w", encoding="ascii") as message:
        message.write(MESSAGE)
    subprocess.run("postseal key generate --no-passphrase --name Alice alice@example.org", shell=True, cwd=folder, env=place, check=True, capture_output=True)
    for command in COMMANDS:
        yield True, command
        said = subprocess.run(command, shell=True, cwd=folder, env=place, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
        for line in said.stdout.decode().splitlines():
            yield False, line


def spans(line):
    """The line as tspan elements, one for each colour."""
    out, style = [], []
    for part in re.split(r"(\x1b\[[0-9;]*m)", line):
        if part.startswith("\x1b["):
            codes = [code for code in part[2:-1].split(";") if code not in ("", "0")]
            style = style + codes if codes else []
        elif part:
            names = " ".join("bold" if code == "1" else COLOURS.get(code, "") for code in style).strip()
            out.append(f'<tspan class="{names}">{html.escape(part)}</tspan>' if names else html.escape(part))
    return "".join(out)


def main():
    with tempfile.TemporaryDirectory() as folder:
        lines = list(run(sys.argv[1], folder))
    rows, at = [], TOP
    for is_typed, line in lines:
        if is_typed and rows:
            at += LINE // 2
        shown = f'<tspan class="prompt">$ </tspan><tspan class="typed">{html.escape(line)}</tspan>' if is_typed else spans(line)
        rows.append(f'<text x="{LEFT}" y="{at}" xml:space="preserve">{shown}</text>')
        at += LINE
    height = at
    print(f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" role="img" aria-label="postseal verifies a signed and a forged message">')
    print(f"<style>{STYLE}</style>")
    print(f'<rect class="page" x="0.5" y="0.5" width="{WIDTH - 1}" height="{height - 1}" rx="8"/>')
    print("\n".join(rows))
    print("</svg>")


main()
