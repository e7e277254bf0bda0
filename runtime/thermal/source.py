"""A source of infrared frames whose frames are conditioned as they are read."""

from dataclasses import replace

from vr.runtime.sources.base import LiveSource, Source, Stamped
from vr.runtime.thermal.conditioner import ThermalConditioner


class ConditionedSource:
    """Another source's frames through a conditioner, each once, in order; everything else is the other source's.

    To be read from one thread, as the source itself.
    """

    def __init__(self, source: Source, conditioner: ThermalConditioner) -> None:
        self._source, self._conditioner = source, conditioner
        self.name, self.live, self.fps, self.length = source.name, source.live, source.fps, source.length

    def read(self) -> Stamped | None:
        """See `Source`."""
        return self._conditioned(self._source.read())

    def close(self) -> None:
        """See `Source`."""
        self._source.close()

    def _conditioned(self, stamped: Stamped | None) -> Stamped | None:
        if stamped is None:
            return None
        found = self._conditioner(stamped.frame, stamped.time_s)
        return replace(stamped, frame=found.frame8, hot_spot=found.hot_spot)


class ConditionedLiveSource(ConditionedSource):
    """The same of a camera."""

    def __init__(self, source: LiveSource, conditioner: ThermalConditioner) -> None:
        super().__init__(source, conditioner)
        self._camera = source

    def newest(self, wait_s: float) -> Stamped | None:
        """See `LiveSource`. Frames that were replaced before anybody asked are not seen by the conditioner."""
        return self._conditioned(self._camera.newest(wait_s))


def conditioned(source: Source, conditioner: ThermalConditioner) -> ConditionedSource:
    """`source` with its frames conditioned; a `LiveSource` stays one."""
    if isinstance(source, LiveSource):
        return ConditionedLiveSource(source, conditioner)
    return ConditionedSource(source, conditioner)
