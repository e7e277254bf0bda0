"""Handing items from one thread to the next, with bounded room."""

import threading
from collections import deque
from collections.abc import Iterator
from typing import Generic, TypeVar

Item = TypeVar("Item")


class Handover(Generic[Item]):
    """A queue of at most `room` items between the thread that puts and the one that iterates.

    drops: True: `put` never waits, a full queue loses its oldest item (counted in `dropped`); False: `put` waits.
    """

    def __init__(self, room: int, drops: bool = False) -> None:
        self._items: deque[Item] = deque()
        self._room, self._drops = room, drops
        self._changed = threading.Condition()
        self._ended = self._abandoned = False
        self.dropped = 0

    def put(self, item: Item) -> bool:
        """Returns False, without the item, once nobody takes it any more."""
        with self._changed:
            if self._drops and len(self._items) >= self._room:
                self._items.popleft()
                self.dropped += 1
            self._changed.wait_for(lambda: len(self._items) < self._room or self._abandoned)
            if self._abandoned:
                return False
            self._items.append(item)
            self._changed.notify_all()
            return True

    def end(self) -> None:
        """No item follows; those that are in it are still taken."""
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def abandon(self) -> None:
        """Nobody takes items any more."""
        with self._changed:
            self._abandoned = True
            self._items.clear()
            self._changed.notify_all()

    def __iter__(self) -> Iterator[Item]:
        """The items in order, waiting for each, until `end` or `abandon`."""
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._items or self._ended or self._abandoned)
                if not self._items:
                    return
                item = self._items.popleft()
                self._changed.notify_all()
            yield item
