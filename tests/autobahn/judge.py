"""Runs the Autobahn fuzzing client, or its fuzzing server for a client, and judges the report.

    python3 judge.py --wstest WSTEST --url ws://127.0.0.1:9001/ --out FOLDER [--jobs 2] PATTERN...
    python3 judge.py --wstest WSTEST --client PROGRAM --out FOLDER [--jobs 2] PATTERN...

The client is called with the server's host and port and a name for itself, and runs all cases that the server has.

Expected: every case OK in behaviour and in how the connection was closed; INFORMATIONAL only for the cases below, in
which the suite itself has no opinion; nothing NON-STRICT, nothing UNIMPLEMENTED, every planned case run to its end.
"""

import argparse
import ast
import collections
import concurrent.futures
import json
import os
import re
import socket
import subprocess
import sys
import threading
import time

# 7.1.6: what happens to a large message when Close follows at once; 7.13.*: close codes that no RFC gives a meaning to.
INFORMATIONAL = {"7.1.6", "7.13.1", "7.13.2"}
AGENT = "salon"
# All cases in parts of about the same length, the long ones first, so that jobs end together.
ALL = ["12.3.*", "12.2.*", "12.4.*", "12.5.*", "12.1.*", *(f"13.{n}.*" for n in range(1, 8)),
       "9.*", "6.*", "5.*", "1.*", "2.*", "3.*", "4.*", "7.*", "10.*"]
WITHIN = 7200  # seconds for one part


def number(case):
    return [int(part) for part in case.split(".")]


def run_part(options, index, pattern):
    """One run of the suite; gives the planned cases, the results, and what went wrong with the run itself."""
    folder = os.path.join(options.out, f"part-{index:02}")
    os.makedirs(folder, exist_ok=True)
    spec = os.path.join(folder, "spec.json")
    with open(spec, "w") as file:
        json.dump({"outdir": folder, "servers": [{"agent": AGENT, "url": options.url}], "cases": [pattern],
                   "exclude-cases": [], "exclude-agent-cases": {}}, file)
    planned, last = [], collections.deque(maxlen=8)
    process = subprocess.Popen([options.wstest, "-m", "fuzzingclient", "-s", spec], stdin=subprocess.DEVNULL, cwd=folder,
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace")
    late = threading.Timer(WITHIN, process.kill)
    late.start()
    for line in process.stdout:
        last.append(line.strip()[:200])
        found = re.match(r"Cases = (\[.*\])$", line)
        if found:
            planned = ast.literal_eval(found.group(1))
        started = re.match(r"Running test case ID (\S+)", line)
        if started and options.verbose:
            print(f"  {started.group(1)}", file=sys.stderr, flush=True)
    status = process.wait()
    late.cancel()
    try:
        with open(os.path.join(folder, "index.json")) as file:
            results = json.load(file).get(AGENT, {})
    except (OSError, ValueError):
        results = {}
    trouble = None
    if status or not planned or set(planned) - set(results):
        trouble = f"{pattern} did not run to its end (status {status}):\n" + "\n".join(last)
    print(f"{pattern}: {len(results)} of {len(planned)} cases run", flush=True)
    return planned, results, trouble


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def run_client(options, index, pattern):
    """The same for a client: the suite is the server, which writes its report when the client asks for it."""
    folder = os.path.join(options.out, f"part-{index:02}")
    os.makedirs(folder, exist_ok=True)
    port, spec = free_port(), os.path.join(folder, "spec.json")
    with open(spec, "w") as file:
        json.dump({"url": f"ws://127.0.0.1:{port}", "outdir": folder, "cases": [pattern],
                   "exclude-cases": [], "exclude-agent-cases": {}}, file)
    log = open(os.path.join(folder, "server.log"), "w+")
    loopback = os.path.join(os.path.dirname(os.path.abspath(__file__)), "loopback")
    server = subprocess.Popen([options.wstest, "-m", "fuzzingserver", "-s", spec, "--webport", "0"], cwd=folder,
                              env={**os.environ, "PYTHONPATH": loopback}, stdin=subprocess.DEVNULL, stdout=log,
                              stderr=subprocess.STDOUT)
    said, status = "", None
    try:
        for _ in range(600):
            with socket.socket() as probe:
                if server.poll() is not None or probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.1)
        client = subprocess.run([options.client, f"127.0.0.1:{port}", AGENT], stdin=subprocess.DEVNULL, text=True,
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=WITHIN)
        said, status = client.stdout, client.returncode
    except subprocess.TimeoutExpired:
        said = "the client did not end in time"
    finally:
        server.terminate()
        server.wait()
    log.seek(0)
    planned = ast.literal_eval((re.search(r"^Cases = (\[.*\])$", log.read(), re.M) or [None, "[]"])[1])
    try:
        with open(os.path.join(folder, "index.json")) as file:
            results = json.load(file).get(AGENT, {})
    except (OSError, ValueError):
        results = {}
    count = re.match(r"(\d+) cases", said)
    trouble = None
    if status != 0 or not results or not count or int(count[1]) != len(results) or set(planned) - set(results):
        trouble = f"{pattern} did not run to its end (status {status}):\n{said[-2000:]}"
    print(f"{pattern}: {len(results)} of {count[1] if count else '?'} cases run", flush=True)
    return planned, results, trouble


def verdict(case, result):
    """One word for a case, and whether it is as expected."""
    if result is None:
        return "MISSING", False
    words = {result["behavior"], result["behaviorClose"]}
    if words == {"OK"}:
        return "OK", True
    if words <= {"OK", "INFORMATIONAL"}:
        return "INFORMATIONAL", case in INFORMATIONAL
    return "/".join(sorted(words - {"OK"})), False


def main():
    parser = argparse.ArgumentParser()
    for option in ("--wstest", "--out"):
        parser.add_argument(option, required=True)
    judged = parser.add_mutually_exclusive_group(required=True)
    judged.add_argument("--url")
    judged.add_argument("--client")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--verbose", action="store_true")
    parser.add_argument("patterns", nargs="+")
    options = parser.parse_args()
    patterns = ALL if options.patterns == ["*"] else options.patterns
    planned, results, troubles = set(), {}, []
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        run = run_client if options.client else run_part
        parts = pool.map(lambda part: run(options, *part), enumerate(patterns))
        for part, found, trouble in parts:
            planned.update(part)
            results.update(found)
            troubles += [trouble] if trouble else []
    count, wrong = collections.Counter(), []
    for case in sorted(planned | set(results), key=number):
        word, expected = verdict(case, results.get(case))
        count[word] += 1
        if not expected:
            wrong.append(f"{case}: {word}")
    print(*troubles, *wrong, sep="\n")
    words = ", ".join(f"{number} {word}" for word, number in sorted(count.items(), key=lambda item: -item[1]))
    print(f"{sum(count.values())} cases: {words}; report in {options.out}")
    print(f"{sum(count.values()) - len(wrong)} passed, {len(wrong) + len(troubles)} failed")
    sys.exit(1 if wrong or troubles else 0)


main()
