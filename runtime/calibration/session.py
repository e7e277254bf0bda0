"""A calibration from its options to what it found; nothing is written here."""

from dataclasses import dataclass, replace

import numpy as np

from vr.runtime.aligner import Aligner, PairLook
from vr.runtime.calibration.fusing import LEAST_AGREEING, Rig, Sighting, corners_off_px, fuse, most_agreed
from vr.runtime.calibration.offset import Offset, OffsetWatch
from vr.runtime.calibration.watching import Kept, Tell, Watched, watch
from vr.runtime.cores import share_cores
from vr.runtime.embedded import model_path
from vr.runtime.errors import InputError
from vr.runtime.evidence import Transform
from vr.runtime.geometry import IDENTITY_THETA, Float64Array, SizeHw, compose
from vr.runtime.live_options import LiveOptions
from vr.runtime.search import check_start, search_for
from vr.runtime.session import Session
from vr.runtime.sources.opening import is_camera
from vr.runtime.stopping import Stop

VIEWS = 3
"""So many looks at each pair at the end, each through another guess near what was found."""
VIEW_RANGE = 0.03
"""By how much the numbers of those guesses differ at most: half of it in frame sides."""
_WATCHING_SHARE = 0.9
_WHOLE_SEARCHES = 5


@dataclass(frozen=True)
class Calibration:
    """What was found. before_px, after_px: what a corner of the RGB picture is off by at most, without the transform,
    and by what single looks differ from it (median), px of the RGB picture.
    """

    rig: Rig
    offset: Offset
    kept: list[Kept]
    rgb_hw: SizeHw
    ir_hw: SizeHw
    before_px: float
    after_px: float


def calibrate_rig(options: LiveOptions, seconds: float, stop: Stop, tell: Tell) -> Calibration:
    """Watches the sources of `options` for so long, and finds what stays the same.

    Raises InputError where too few frames agree or the run was stopped, and what opening model and sources raises.
    """
    options.check()
    threads = share_cores(options.threads, live=is_camera(options.rgb)).threads
    session = Session(model_path(options.model), options.provider, threads, transform_only=True)
    check_start(IDENTITY_THETA, Aligner(session).info)
    offset = OffsetWatch(options)
    watched = watch(options, session, offset, seconds, stop, lambda share, hint: tell(_WATCHING_SHARE * share, hint))
    if stop.is_set():
        raise InputError("stopped before the time was over; nothing is written")
    return _found(session, watched, offset.result, tell)


def _found(session: Session, watched: Watched, offset: Offset, tell: Tell) -> Calibration:
    kept, rgb_hw = _answered(session, watched.kept), watched.rgb_hw
    first = [[] if one.sighting is None else [one.sighting] for one in kept]
    rough = fuse(first, len(kept), rgb_hw)
    rng, again = np.random.default_rng(0), list[list[Sighting]]()
    for number, one in enumerate(kept):
        tell(_WATCHING_SHARE + (1.0 - _WATCHING_SHARE) * number / len(kept), "looking again, from other sides")
        again.append(_through_views(session, one, rough.theta, rng))
    # How many frames agree is told by looks that did not know the answer.
    rig = replace(fuse(again, len(kept), rgb_hw), answered=rough.answered, agreeing=rough.agreeing)
    apart = [corners_off_px(rig.theta, sighting.theta, rgb_hw) for frame in again for sighting in frame]
    stretch = IDENTITY_THETA if rig.theta.shape == (2, 3) else np.eye(3)
    before_px = corners_off_px(stretch, rig.theta, rgb_hw)
    return Calibration(rig, offset, kept, rgb_hw, watched.ir_hw, before_px, float(np.median(apart)))


def _answered(session: Session, kept: list[Kept]) -> list[Kept]:
    """The pairs that have no answer are looked at once more, through the answer that most of the others agree with.

    While it watches it tries some guesses per pair only. Where that was too few, all are tried for some pairs.
    """
    thetas = [one.sighting.theta for one in kept if one.sighting is not None]
    if len(thetas) < LEAST_AGREEING:
        search, step = search_for("wide", session.info), max(1, len(kept) // _WHOLE_SEARCHES)
        answers = [search.whole(PairLook(session, one.ir, one.rgb)) for one in kept[::step]]
        thetas += [one.transform for one in answers if one.transform is not None]
    centre = most_agreed(thetas)
    if centre is None:
        return kept
    return [one if one.sighting else replace(one, sighting=_seen_through(session, one, centre)) for one in kept]


def _seen_through(session: Session, kept: Kept, prior: Transform) -> Sighting | None:
    answer = PairLook(session, kept.ir, kept.rgb)(prior)
    return None if answer.transform is None else Sighting(answer.transform, answer.sureness, answer.information)


def _through_views(session: Session, kept: Kept, rough: Float64Array, rng: np.random.Generator) -> list[Sighting]:
    """A network's error follows what it is shown: what several views agree on is less its own taste."""
    look, sightings = PairLook(session, kept.ir, kept.rgb), list[Sighting]()
    for _ in range(VIEWS):
        view = compose(rough, IDENTITY_THETA + VIEW_RANGE * rng.uniform(-1.0, 1.0, (2, 3)))
        answer = look(view)
        if answer.transform is not None:
            sightings.append(Sighting(answer.transform, answer.sureness, answer.information))
    return sightings
