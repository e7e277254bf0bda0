"""How far off is the alignment: `python -m benchmarks.accuracy DATA [--model FILE] [--out FILE]`.

DATA holds the folders that `vr-train` takes (rgb/, ir/), at any depth, and optionally landmarks/. Of a folder that the
model was trained on, only its last tenth is used: the test block of `vr-train`. Reported per folder and method: median,
share under 3, 5 and 10 px, refused, and confidently wrong (not refused, over 10 px), all at 320x240; a refused pair
counts as infinitely far off. Identity and ECC on gradients stand beside.
"""

import argparse
import json
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

from benchmarks.measure import machine_facts
from benchmarks.protocols import FRAME_HW, KnownPair, landmark_pairs, protocol_s
from vr.runtime import Aligner
from vr.runtime.geometry import IDENTITY_THETA, Float64Array, apply_affine, grid_error_px, theta_to_matrix
from vr.runtime.preprocess import Frame, to_gray

TRAINED_ON = ("roadscene",)
RESULTS = Path(__file__).parent / "results" / "accuracy.json"
Method = Callable[[Frame, Frame], Float64Array | None]


def identity(ir: Frame, rgb: Frame) -> Float64Array:
    """No alignment: the IR frame stretched to the RGB frame."""
    return theta_to_matrix(IDENTITY_THETA, (rgb.shape[0], rgb.shape[1]), (ir.shape[0], ir.shape[1]))


def ecc_on_gradients(ir: Frame, rgb: Frame) -> Float64Array | None:
    """OpenCV's ECC with an affine model on Sobel magnitudes; None if it does not converge."""
    edges = [_sobel_magnitude(to_gray(frame)) for frame in (rgb, ir)]
    criteria = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 100, 1e-4)
    start = np.eye(2, 3, dtype=np.float32)
    try:
        _, matrix = cv2.findTransformECC(edges[0], edges[1], start, cv2.MOTION_AFFINE, criteria, None, 5)  # type: ignore[arg-type, call-overload]
    except cv2.error:
        return None
    return np.asarray(matrix, dtype=np.float64)


def files_of(folder: Path) -> list[tuple[Path, Path]]:
    """(IR, RGB) files of the pairs to measure on."""
    rgb = {path.stem: path for path in (folder / "rgb").iterdir()}
    pairs = [(path, rgb[path.stem]) for path in sorted((folder / "ir").iterdir()) if path.stem in rgb]
    return pairs[-max(1, round(0.1 * len(pairs))) :] if folder.name in TRAINED_ON else pairs


def figures(errors_px: list[float], confident_px: list[float]) -> dict[str, float | int]:
    """Summary of one method on one folder; `errors_px` has infinity for a refused pair."""
    errors = np.array(errors_px)
    shares = {f"below_{limit}_px": round(float((errors < limit).mean()), 3) for limit in (3, 5, 10)}
    wrong = sum(error > 10.0 for error in confident_px)
    median = float(np.median(errors))
    return {
        "pairs": len(errors_px),
        "median_px": round(median, 2) if np.isfinite(median) else -1.0,
        **shares,
        "refused": len(errors_px) - len(confident_px),
        "confidently_wrong": wrong,
    }


def measure(method: Method, pairs: list[KnownPair]) -> dict[str, float | int]:
    """Grid errors of a method on known pairs."""
    found = [(method(pair.ir, pair.rgb), pair.matrix_rgb_to_ir) for pair in pairs]
    confident = [grid_error_px(matrix, truth, FRAME_HW) for matrix, truth in found if matrix is not None]
    return figures(confident + [np.inf] * (len(pairs) - len(confident)), confident)


def landmark_errors(method: Method, folder: Path) -> dict[str, float]:
    """Mean landmark error per pair, px at 320 px RGB width; -1 for a refused pair."""
    errors: dict[str, float] = {}
    for pair in landmark_pairs(folder):
        matrix = method(pair.ir, pair.rgb)
        if matrix is None:
            errors[pair.name] = -1.0
            continue
        distance = np.linalg.norm(apply_affine(matrix, pair.points_rgb) - pair.points_ir, axis=1)
        errors[pair.name] = round(float(distance.mean()) * 320.0 / pair.ir.shape[1], 2)
    return errors


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--model", type=Path, default=None)
    parser.add_argument("--out", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    aligner = Aligner.load(arguments.model, provider="cpu", threads=1)

    def ours(ir: Frame, rgb: Frame) -> Float64Array | None:
        return aligner.estimate(ir, rgb).matrix_rgb_to_ir

    methods: dict[str, Method] = {"identity": identity, "ECC on gradients": ecc_on_gradients, "default model": ours}
    folders = sorted(path.parent for path in arguments.data.rglob("ir") if (path.parent / "rgb").is_dir())
    report: dict[str, object] = {"machine": machine_facts(), "run": aligner.info.training_run, "protocol_s": {}}
    by_folder: dict[str, dict[str, dict[str, float | int]]] = {}
    for folder in folders:
        pairs = list(protocol_s(files_of(folder)))
        by_folder[folder.name] = {name: measure(method, pairs) for name, method in methods.items()}
        print(folder.name, json.dumps(by_folder[folder.name], indent=1))
    report["protocol_s"] = by_folder
    if (arguments.data / "landmarks").is_dir():
        landmarks = {name: landmark_errors(method, arguments.data / "landmarks") for name, method in methods.items()}
        report["landmarks_px"] = landmarks
        print("landmarks", json.dumps(landmarks, indent=1))
    arguments.out.parent.mkdir(exist_ok=True)
    arguments.out.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


def _sobel_magnitude(gray: Frame) -> np.ndarray:
    smooth = cv2.GaussianBlur(gray, (0, 0), 1.0).astype(np.float32)
    return cv2.magnitude(cv2.Sobel(smooth, cv2.CV_32F, 1, 0), cv2.Sobel(smooth, cv2.CV_32F, 0, 1))


if __name__ == "__main__":
    main()
