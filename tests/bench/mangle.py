"""Faults of a byte stream: the same for a TCP connection and a pipe. Standard library only."""

import random
import time

from tests.bench.control import FaultBoard

KINDS = ("stall", "cut", "garbage", "slow")
"""What can be done to any stream of bytes."""
SLOW_BYTES_PER_S = 10_000
GARBAGE_EVERY_S = 0.2
_GARBAGE_BYTES = (16, 600)
_STEP_S = 0.01


class Mangler:
    """Spoils one connection's bytes as the board says; `pieces` may wait."""

    def __init__(self, board: FaultBoard, seed: int = 0) -> None:
        self._board, self._random = board, random.Random(seed)
        self._next_garbage_s = 0.0
        self._stalled: object = None

    def spoil(self, data: bytes) -> bytes:
        """What is to be sent for `data`, once it may be sent."""
        self._wait_while_stalled()
        self._crawl(len(data))
        return self._garbage() + data

    def _wait_while_stalled(self) -> None:
        while (fault := self._board.active("stall")) is not None:
            if fault is not self._stalled:
                self._stalled = fault
                fault.injected += 1
            time.sleep(_STEP_S)

    def _crawl(self, length: int) -> None:
        fault = self._board.active("slow")
        if fault is not None:
            fault.injected += length
            time.sleep(max(0.0, min(length / SLOW_BYTES_PER_S, fault.end_s - time.monotonic())))

    def _garbage(self) -> bytes:
        fault, now_s = self._board.active("garbage"), self._board.now()
        if fault is None or now_s < self._next_garbage_s:
            return b""
        self._next_garbage_s = now_s + GARBAGE_EVERY_S
        fault.injected += 1
        return self._random.randbytes(self._random.randint(*_GARBAGE_BYTES))
