"""How far a backup or restore has come, told a few times a minute: bytes, speed, and what is left."""

from __future__ import annotations

import threading
from collections.abc import Callable
from time import monotonic

_EVERY_S = 2.0


class Progress:
    """Counts bytes, in any thread; `total` None where nobody knows how many there will be."""

    def __init__(self, what: str, total: int | None, told: Callable[[str], None]) -> None:
        self._what, self._total, self._told = what, total, told
        self._done, self._started, self._last = 0, monotonic(), monotonic()
        self._guard = threading.Lock()

    def add(self, size: int) -> None:
        """Count `size` bytes more."""
        with self._guard:
            self._done += size
            now = monotonic()
            if now - self._last < _EVERY_S:
                return
            self._last = now
            text = self._text(now - self._started)
        self._told(text)

    def _text(self, seconds: float) -> str:
        mib, speed = self._done / (1 << 20), self._done / (1 << 20) / seconds
        if not self._total or self._done > self._total:
            return f"{self._what}: {mib:.0f} MiB, {speed:.0f} MiB/s"
        left_s = (self._total - self._done) / self._done * seconds
        return f"{self._what}: {self._done * 100 // self._total} %, {speed:.0f} MiB/s, about {left_s:.0f} s left"
