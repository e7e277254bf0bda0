"""Infrared as it comes, in figures: `python -m benchmarks.thermal DATA`; prints the tables of docs/thermal.md.

DATA has folders `.../rgb` and `.../ir` of pictures. Grey infrared pictures are put into each palette, compressed, and
brought back; colour and infrared pictures are asked whether they are in a palette.
"""

import argparse
import io
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import av
import cv2
import matplotlib
import numpy as np
from numpy.typing import NDArray

from benchmarks.measure import machine_facts, measure
from vr.runtime.alignment import Alignment
from vr.runtime.badges import draw_badge, draw_band, draw_notices
from vr.runtime.mixing import mixed
from vr.runtime.notices import Notice
from vr.runtime.sim import Simulator
from vr.runtime.thermal import ThermalConditioner, ThermalOptions
from vr.runtime.thermal.palettes import RECOGNISED, colour_table, in_colour
from vr.runtime.thermal.recognition import look_at, to_intensity

Uint8Array = NDArray[np.uint8]
JPEG_QUALITY, H264_CRF = 80, "23"
EVERY = 4
BENT_BY = (8, 16, 24, 32)
MATPLOTLIB = ("gnuplot", "gnuplot2", "CMRmap", "afmhot", "gist_heat", "copper", "rainbow", "nipy_spectral", "coolwarm")
FRAMES = 300
FPS = 30.0


def through_jpeg(bgr: Uint8Array) -> Uint8Array:
    """Compressed and back."""
    return cv2.imdecode(cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])[1], 1)  # type: ignore[return-value]


def through_h264(bgr: Uint8Array) -> Uint8Array:
    """The last of three frames of a video, of which the first two are one and two pixels aside."""
    file = io.BytesIO()
    with av.open(file, "w", format="matroska") as out:
        stream = out.add_stream("libx264", rate=25, options={"crf": H264_CRF, "preset": "veryfast"})
        stream.height, stream.width, stream.pix_fmt = bgr.shape[0], bgr.shape[1], "yuv420p"
        for shift in (2, 1, 0):
            out.mux(stream.encode(av.VideoFrame.from_ndarray(np.roll(bgr, shift, axis=1), format="bgr24")))
        out.mux(stream.encode())
    file.seek(0)
    with av.open(file, "r") as read:
        return [frame.to_ndarray(format="bgr24") for frame in read.decode(video=0)][-1].astype(np.uint8)


def pictures(data: Path, side: str) -> list[Path]:
    """All pictures in folders of that name."""
    return sorted(path for path in data.rglob("*") if path.parent.name == side and path.suffix in (".jpg", ".png"))


def grey(path: Path) -> Uint8Array:
    """A picture in grey, of even sides."""
    picture = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
    assert picture is not None
    return picture[: picture.shape[0] // 2 * 2, : picture.shape[1] // 2 * 2].astype(np.uint8)


def print_palettes(frames: list[Uint8Array]) -> None:
    """Error and recognition of each palette."""
    print("| palette | recognised, JPEG | recognised, H.264 | another one | error, JPEG | error, H.264 |")
    print("| --- | ---: | ---: | ---: | ---: | ---: |")
    for name in RECOGNISED:
        found: dict[str, list[str | None]] = {}
        errors: dict[str, list[float]] = {}
        for how, through in (("jpeg", through_jpeg), ("h264", through_h264)):
            sent = [through(in_colour(frame, name)) for frame in frames]
            found[how] = [look_at(one).best for one in sent]
            pairs = zip(sent, frames, strict=True)
            errors[how] = [float(np.abs(to_intensity(s, name).astype(int) - f).mean()) for s, f in pairs]
        other = sum(one not in (name, None) for ones in found.values() for one in ones)
        shares = [f"{sum(one == name for one in found[how]) / len(frames):.0%}" for how in found]
        medians = [f"{np.median(errors[how]):.1f}" for how in errors]
        print(f"| {name} | {' | '.join(shares)} | {other} | {' | '.join(medians)} |")
    print(f"\n{len(frames)} pictures, JPEG quality {JPEG_QUALITY}, H.264 crf {H264_CRF}, both with halved chroma.\n")


def variants() -> dict[str, Uint8Array]:
    """Palettes (256, 3) BGR that are near known ones, or only remind of them: bent ones, and matplotlib's."""
    rng, places = np.random.default_rng(0), np.linspace(0.0, 1.0, 256)
    tables: dict[str, Uint8Array] = {}
    for name in ("ironbow", "jet", "hot"):
        for levels in BENT_BY:
            bends = rng.normal(0.0, levels, (3, 6))
            bent = colour_table(name) + np.stack(
                [np.interp(places, np.linspace(0, 1, 6), one) for one in bends], axis=1
            )
            tables[f"{name} bent by {levels}"] = np.clip(np.rint(bent), 0, 255).astype(np.uint8)
    for name in MATPLOTLIB:
        rgb = matplotlib.colormaps[name](np.arange(256))[:, :3]
        tables[name] = np.rint(255.0 * rgb[:, ::-1]).astype(np.uint8)
    return tables


def print_variants(frames: list[Uint8Array]) -> None:
    """What becomes of palettes that are not known. useful: correlated with the intensity by 0.95, or more than luma."""
    counts = Counter[str]()
    for name, table in variants().items():
        for frame in frames:
            sent = through_jpeg(table[frame])
            best = look_at(sent).best
            if best is None:
                counts["passed as unknown"] += 1
                continue
            luma, taken = (
                float(np.corrcoef(one.ravel(), frame.ravel())[0, 1])
                for one in (cv2.cvtColor(sent, cv2.COLOR_BGR2GRAY), to_intensity(sent, best))
            )
            counts["taken for one, useful" if taken >= min(0.95, luma) else f"wrong: {name} for {best}"] += 1
    print(dict(counts.most_common()), "\n")


def print_false_alarms(data: Path) -> None:
    """How many real pictures are taken for a palette."""
    for side in ("rgb", "ir"):
        looks = [look_at(cv2.imread(str(path))) for path in pictures(data, side)]  # type: ignore[arg-type]
        best = max((max(look.fits.values()) for look in looks if look.fits), default=0.0)
        taken = sum(look.best is not None for look in looks)
        print(f"{side}: {taken} of {len(looks)} pictures taken for a palette, best fit {best:.2f}")


def print_costs() -> None:
    """Milliseconds per frame of 640x480: what the conditioner takes, and what drawing does."""
    print("\n| what | median ms | p95 ms |\n| --- | ---: | ---: |")
    ir, rgb = Simulator(1, (480, 640), (480, 640)).frames(0)
    noise = np.random.default_rng(0).integers(0, 8, ir.shape)
    deep = (ir.astype(np.uint16) * 4 + 29000 + noise).astype(np.uint16)
    grey3: Uint8Array = cv2.cvtColor(ir, cv2.COLOR_GRAY2BGR)  # type: ignore[assignment]
    cases = {
        "8 bit, grey": (ir, ThermalOptions()),
        "8 bit, grey in 3 channels": (grey3, ThermalOptions()),
        "8 bit, jet": (in_colour(ir, "jet"), ThermalOptions()),
        "16 bit, percentile": (deep, ThermalOptions()),
        "16 bit, plateau": (deep, ThermalOptions(ir_gain="plateau")),
        "16 bit, percentile, hottest spot": (deep, ThermalOptions(ir_celsius="tlinear")),
    }
    for what, (frame, options) in cases.items():
        conditioner = ThermalConditioner(options)
        times = iter(range(FRAMES * 2))
        print_timing(what, lambda c=conditioner, f=frame, t=times: c(f, next(t) / FPS))
    picture, notices = rgb.copy(), (Notice("ir lost", 3.0), Notice("recording off", 4.0))
    alignment = Alignment("estimated", None, np.eye(3)[:2], None, (480, 640), ir)
    for what, draw in {
        "mix": lambda: mixed(alignment, rgb, 0.35),
        "mix, palette inferno": lambda: mixed(alignment, rgb, 0.35, "inferno"),
        "badge": lambda: draw_badge(picture, "estimated"),
        "band": lambda: draw_band(picture),
        "two notices": lambda: draw_notices(picture, notices),
    }.items():
        print_timing(what, draw)


def print_timing(what: str, call: Callable[[], object]) -> None:
    """A row of a table."""
    timing = measure(call, FRAMES)
    print(f"| {what} | {timing.median_ms:.3f} | {timing.p95_ms:.3f} |")


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    frames = [grey(path) for path in pictures(arguments.data, "ir")[::EVERY]]
    print_palettes(frames)
    print_variants(frames)
    print_false_alarms(arguments.data)
    print_costs()
    print(machine_facts())


if __name__ == "__main__":
    main()
