"""Runs the checks of this folder, each in a process of its own and for so long at most; see run.sh."""

import os
import signal
import sys
import time
import traceback

import harness

WITHIN = 90  # seconds that a check may take
SAID, SKIPPED, FAILED = 0, 77, 1


def carry_out(check, report):
    """In the child: what became of it, in words and as an exit status."""
    try:
        if check.private:
            harness.enter_a_private_network()
        words = check()
        status = SAID
    except harness.Skip as why:
        words, status = str(why), SKIPPED
    except BaseException as error:  # every check is judged on its own
        at = traceback.extract_tb(error.__traceback__)
        at = next((frame for frame in reversed(at) if not frame.filename.endswith("harness.py")), at[-1])
        words, status = f"{type(error).__name__}: {error} ({os.path.basename(at.filename)}:{at.lineno})", FAILED
    finally:
        harness.end_all()
    os.write(report, (words or "").encode()[:4000])
    os._exit(status)


def start(check):
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.setsid()
        for name in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(name, signal.SIG_DFL)
        os.close(reading)
        carry_out(check, writing)
    os.close(writing)
    return pid, reading


def main():
    harness.SALON = sys.argv[1]
    import accepting, breaking, clocks, crowds, disks, slow  # noqa: F401, E401 (each adds its checks)
    wanted = sys.argv[2:]
    waiting = [check for check in harness.CHECKS if not wanted or any(part in check.__name__ for part in wanted)]
    jobs = int(os.environ.get("JOBS", "4"))
    running, counts = {}, {SAID: 0, SKIPPED: 0, FAILED: 0}

    def end(*_):  # nobody is left behind
        for pid in running:
            os.killpg(pid, signal.SIGKILL)
        sys.exit(1)

    for name in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(name, end)
    while waiting or running:
        alone = any(check.alone for check, *_ in running.values())
        while waiting and len(running) < jobs and not alone and not (waiting[0].alone and running):
            check = waiting.pop(0)
            alone = check.alone
            pid, reading = start(check)
            running[pid] = (check, reading, time.monotonic())
        pid, status = os.waitpid(-1, os.WNOHANG)
        if pid == 0:
            for late, (check, _, since) in running.items():
                if time.monotonic() - since > WITHIN:
                    os.killpg(late, signal.SIGKILL)
            time.sleep(0.01)
            continue
        check, reading, since = running.pop(pid)
        words = os.read(reading, 4096).decode()
        os.close(reading)
        code = os.waitstatus_to_exitcode(status)
        if code not in (SAID, SKIPPED):
            words, code = words or f"not done within {WITHIN} s", FAILED
            try:
                os.killpg(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        counts[code] += 1
        name = check.__name__.replace("_", " ")
        word = {SAID: "ok", SKIPPED: "skipped", FAILED: "not ok"}[code]
        print(f"{word} - {name}{': ' + words if words else ''} [{time.monotonic() - since:.1f} s]", flush=True)
    print(f"{counts[SAID]} passed, {counts[SKIPPED]} skipped, {counts[FAILED]} failed")
    sys.exit(counts[FAILED] != 0)


main()
