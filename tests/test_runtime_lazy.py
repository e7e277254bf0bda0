"""Attributes computed once, without a lock between instances."""

import threading

from vr.runtime.lazy import lazy


class Slow:
    def __init__(self) -> None:
        self.entered, self.gate, self.count = threading.Event(), threading.Event(), 0

    @lazy
    def value(self) -> int:
        """A number."""
        self.entered.set()
        assert self.gate.wait(20)
        self.count += 1
        return self.count


def test_the_value_is_computed_once() -> None:
    slow = Slow()
    slow.gate.set()
    assert (slow.value, slow.value, slow.count) == (1, 1, 1)
    assert Slow.value.__doc__ == "A number."


def test_one_instance_does_not_wait_for_another() -> None:
    held, free = Slow(), Slow()
    free.gate.set()
    waiting = threading.Thread(target=lambda: held.value)
    waiting.start()
    assert held.entered.wait(20)
    assert free.value == 1, "while the other one is still being computed"
    held.gate.set()
    waiting.join(20)
    assert held.value == 1
