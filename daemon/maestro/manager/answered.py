"""Requests that were carried out: remembered, so that one sent again after a manager's death is not carried out twice."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable

_MOST = (
    64 << 10
)  # bytes of what is remembered: a thousand requests, of which only those of one crash are asked for


class Answered:
    """The newest requests, and what was refused of each. Kept as one fact, in the batch that carries what they asked for."""

    def __init__(self, note: Callable[[str], None]) -> None:
        self._note = note
        self._answers: dict[str, str] = {}
        self._size = 0

    def restore(self, fact: str) -> None:
        """What an earlier manager remembered; nothing of what another version wrote and this one can't read."""
        with contextlib.suppress(ValueError, AttributeError, TypeError):
            for request, answer in json.loads(fact or "{}").items():
                self._add(request, answer)

    def remember(self, request: str, answer: str) -> None:
        if request:
            self._add(request, answer)
            self._note(json.dumps(self._answers, separators=(",", ":")))

    def recall(self, request: str) -> str | None:
        """The answer, if this request was carried out before."""
        return self._answers.get(request)

    def _add(self, request: str, answer: str) -> None:
        self._answers[request] = answer
        self._size += len(request) + len(answer)
        while self._size > _MOST and len(self._answers) > 1:
            oldest = next(iter(self._answers))
            self._size -= len(oldest) + len(self._answers.pop(oldest))
