"""What people have said into the microphone, digit by digit, on its way into a set of recordings."""

from __future__ import annotations

import base64
import binascii
import re
from typing import Any

from playground import data
from playground.ui.words import sentence

MOST_TAKES = 200
MOST_BYTES = 400_000
"""Of one take."""
FIRST = 100
"""The numbers of takes begin here: those of 0 to 4 would be held out, as in the registered digits."""


def keep(value: Any) -> str:
    """The token of the set that what the page sends becomes: {"name", "more", "takes": [[digit, WAV in base64], ...]}.

    `more` is the token of an earlier set that they are added to, or "". Raises `Told`.
    """
    takes = value.get("takes") if isinstance(value, dict) else None
    more = value.get("more") if isinstance(value, dict) else None
    if not isinstance(takes, list) or not 0 < len(takes) <= MOST_TAKES or not isinstance(more, str):
        raise sentence("bad request")
    speaker = re.sub(r"[\W_]+", "-", str(value.get("name", ""))[:40]).strip("-") or "me"
    files = {}
    for k, take in enumerate(takes):
        digit, said = take if isinstance(take, list) and len(take) == 2 else (None, None)
        if type(digit) is not int or not 0 <= digit <= 9 or not isinstance(said, str) or len(said) > MOST_BYTES:
            raise sentence("bad request")
        try:
            files[f"{digit}_{speaker}_{FIRST + k}.wav"] = base64.b64decode(said, validate=True)
        except (binascii.Error, ValueError):
            raise sentence("bad request") from None
    return data.upload_recordings(files, more_of=more)
