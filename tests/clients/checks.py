"""Runs checks one after the other: a line for each, then `N passed, M failed`, and the exit status that says so."""

import asyncio
import sys


def run(checks, within):
    """Each of `checks` is an async function whose name says what is true; none may take longer than `within`
    seconds."""
    sys.exit(asyncio.run(_run(checks, within)) != 0)


async def _run(checks, within):
    failed = 0
    for check in checks:
        name = check.__name__.replace("_", " ")
        try:
            await asyncio.wait_for(check(), within)
            print(f"ok - {name}", flush=True)
        except Exception as error:  # every check is judged on its own
            failed += 1
            print(f"not ok - {name}: {type(error).__name__}: {error}", flush=True)
    print(f"{len(checks) - failed} passed, {failed} failed")
    return failed
