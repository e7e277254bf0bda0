"""What a long run gives back."""

import gc
import weakref

from vr.runtime.memory import give_back


class Ring:
    """Refers to itself."""

    def __init__(self) -> None:
        self.me = self


def test_what_only_refers_to_itself_is_freed() -> None:
    gc.disable()
    try:
        seen = weakref.ref(Ring())
        assert seen() is not None
        give_back()
        assert seen() is None
    finally:
        gc.enable()
