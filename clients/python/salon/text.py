"""Text as the server takes it."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Mapping
from typing import Any


def normal_name(name: str) -> str:
    """A name as the server keeps and sends it: in normal form C, in whatever form it was written."""
    return unicodedata.normalize("NFC", name)


def well_formed(text: str) -> str:
    """Halves of characters, which are no text, become U+FFFD."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def encode(message: Mapping[str, Any]) -> str:
    """A message as it goes over the wire: JSON in well-formed text."""
    return well_formed(json.dumps(message, ensure_ascii=False, separators=(",", ":")))


def utf8_len(text: str) -> int:
    """Bytes of a text as UTF-8."""
    return len(text.encode())
