"""The licences of all that is in a static binary of Salon beside Salon itself, as one text, to stdout.

    python3 contrib/licences.py TARGET

It asks `cargo` which crates a binary for TARGET is made of and reads the licence files that come with each; a crate
that has none is an error. A text that several crates share is there once. It judges nothing: which licences are allowed
is the business of deny.toml. What is no crate (Rust's library, musl, SQLite) is named at the top.
"""

import json
import re
import subprocess
import sys
from pathlib import Path

# What begins the name of a file with a licence, or with what a licence wants to be passed on.
NAMES = re.compile(r"(un)?licen[cs]e|copying|copyright|notice", re.IGNORECASE)
NO_CRATES = """\
What is in this binary beside Salon. Salon's own licence: MIT OR Apache-2.0.

Rust's standard library: Copyright (c) The Rust Project contributors, MIT OR Apache-2.0; the texts are below.
musl, the C library: Copyright (c) 2005-2020 Rich Felker, et al., MIT; the text is below, with other names.
SQLite: in the public domain.
"""


def cargo(*arguments):
    return subprocess.run(["cargo", *arguments], check=True, stdout=subprocess.PIPE, text=True).stdout


target = sys.argv[1]
listed = cargo("tree", "--locked", "--package", "salon", "--edges", "normal,no-proc-macro", "--target", target,
               "--prefix", "none", "--format", "{p}")
# A line is a name, a version with a `v` before it, and more.
used = {(line.split()[0], line.split()[1].removeprefix("v")) for line in listed.splitlines() if line}
packages = json.loads(cargo("metadata", "--locked", "--format-version", "1"))["packages"]
crates_by_text = {}
for package in sorted(packages, key=lambda package: (package["name"], package["version"])):
    name = (package["name"], package["version"])
    if name not in used or package["source"] is None:  # a part of this tree
        continue
    folder = Path(package["manifest_path"]).parent
    files = sorted(path for path in folder.iterdir() if path.is_file() and NAMES.match(path.name))
    if not files:
        sys.exit(f"licences.py: {' '.join(name)} ({package['license']}): expected a file with its licence, found none")
    for path in files:
        text = path.read_text(encoding="utf-8", errors="replace").replace("\r\n", "\n").strip("\n")
        crates_by_text.setdefault(text, {})[" ".join(name)] = package["license"]
sys.stdout.reconfigure(encoding="utf-8")
print(NO_CRATES)
for text, crates in crates_by_text.items():
    print("-" * 80)
    print("\n".join(f"{crate} ({licence})" for crate, licence in crates.items()))
    print(f"\n{text}\n")
