"""From the options of a run to loaded aligners."""

from collections.abc import Callable, Sequence
from pathlib import Path

from vr.runtime.aligner import Aligner
from vr.runtime.batching import share
from vr.runtime.cores import available_cores
from vr.runtime.device_aligner import DeviceAligner, is_overlay_graph, is_registration_graph
from vr.runtime.embedded import EMBEDDED, model_path
from vr.runtime.errors import InputError
from vr.runtime.live_options import LiveOptions
from vr.runtime.person_masks import PersonMasks
from vr.runtime.providers import BUILDING_ENGINES
from vr.runtime.session import Runner, Session, builds_engines

Say = Callable[[str], None]
AnyAligner = Aligner | DeviceAligner
_MOST_CHOICES = 20


def model_choices(model: Path | None) -> tuple[str, ...]:
    """What may take the place of a model while a run goes on: the built-in ones, and the graphs in its folder."""
    if model is None or str(model) in EMBEDDED:
        return EMBEDDED
    beside = sorted(path for path in model.parent.glob("*.onnx") if is_registration_graph(path))
    return (*map(str, beside[:_MOST_CHOICES]), *EMBEDDED)


def load_aligners(
    pairs: Sequence[LiveOptions], threads: int, say: Say, is_watched: bool = False
) -> Sequence[AnyAligner]:
    """One for each pair, on one session; of an overlay graph each on its own. Raises what `Aligner.load` raises.

    is_watched: pictures are wanted beside those of a window or recording.
    """
    first, masks = pairs[0], None
    path = model_path(first.model)
    if is_overlay_graph(path):
        return [_load_device_aligner(path, one, threads, say, is_watched) for one in pairs]
    if builds_engines(path, first.provider):
        say(BUILDING_ENGINES)
    session = Session(path, first.provider, threads, transform_only=True)
    if session.provider != "cpu":
        say(f"placement: {session.placement.text}")
    runner: Runner = session if len(pairs) == 1 else share(session, len(pairs), available_cores(), threads)
    if first.mode == "mask":
        masks = [PersonMasks.load(one.masks, one.provider, threads) for one in pairs]
    return [
        Aligner(runner, one.rig, one.search, None if masks is None else masks[number])
        for number, one in enumerate(pairs)
    ]


def _load_device_aligner(path: Path, options: LiveOptions, threads: int, say: Say, is_watched: bool) -> DeviceAligner:
    if options.mode == "mask":
        raise InputError(
            f"{path} is an overlay graph, which takes frames as they are; --mode mask needs an estimate graph"
        )
    if options.rig_transform is not None and options.follow == "estimate":
        raise InputError(f"{path} is an overlay graph, which looks once; --rig-transform needs an estimate graph")
    alpha = options.alpha if is_watched or options.window or options.record is not None else None
    return DeviceAligner.load(path, options.provider, threads, options.rig, options.search, alpha, say)


def describe(aligner: AnyAligner, options: LiveOptions) -> str:
    """What a user should know of the model before the first frame."""
    info = aligner.info
    height, width = info.size_hw
    name = "built-in" if options.model is None else str(options.model)
    size = f"{info.network} ({info.kind}), {width}x{height} px, {info.precision}"
    lines = [f"model: {name}, {size}, run {info.training_run or 'unknown'}", f"provider: {aligner.provider}"]
    if options.mode == "mask":
        lines.append(f"masks: {options.masks.describe()}")
    if not info.has_confidence and options.mode == "mask":
        lines.append("confidence: Dice of the two masks as they are aligned; below 0.5 nothing is shown as aligned")
    elif not info.has_confidence:
        lines.append("this model gives no confidence: a wrong alignment is not recognised as wrong")
    return "\n".join(lines)
