"""The cases of `tests/cases/*.json`. See `README.md` there."""

import json
from pathlib import Path


def text(value):
    """A text as the files write it: a string, or a list of parts that follow each other."""
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return "".join(map(text, value))
    if "times" in value:
        return text(value["of"]) * value["times"]
    if "names" in value:
        return ",".join(f'"n{n:03}"' for n in range(value["names"]))
    return ",".join(f'"field{n}":{n}' for n in range(value["fields"]))


def load(name):
    return json.loads((Path(__file__).parent / f"{name}.json").read_text(encoding="utf-8"))


def answers(row):
    """What the server sends for a row of `requests.json`: the texts, or the one error."""
    if "hear" in row:
        return [text(heard) for heard in row["hear"]]
    id = f'"id":{json.dumps(row["id"])},' if "id" in row else ""
    message = json.dumps(text(row["message"]), ensure_ascii=False)
    return [f'{{"type":"error",{id}"code":"{row["code"]}","message":{message},"retry":false}}']


def requests(row):
    """What the client sends for a row of `requests.json`."""
    return [text(row["say"])] if "code" in row else [text(said) for said in row["say"]]


def frames(row):
    """What the client sends behind its opening handshake, for a row of `frames.json`."""
    more = "8184000000006d6f7265" "8981000000003f" "888000000000" if row.get("more") else ""
    return bytes.fromhex(text(row["send"]) + more)
