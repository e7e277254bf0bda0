"""What `benchmarks.accuracy` compares: classical methods as their libraries have them, and our models.

A method takes an IR and an RGB frame and gives an `Answer`. The classical ones that can fail refuse by giving None;
what a model would have said of a pair that it refuses is kept too, to tell good refusals from needless ones.
"""

import importlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks import handmade
from vr.runtime import Aligner
from vr.runtime.alignment import State
from vr.runtime.geometry import IDENTITY_THETA, Float64Array, SizeHw, compose, theta_to_matrix
from vr.runtime.preprocess import Frame, network_input, resize, to_gray
from vr.runtime.session import Session, default_model_path
from vr.runtime.warp import flow_source_map
from vr.train.evaluate.measures import source_of

WORK_HW: SizeHw = (240, 320)
"""Classical methods see frames of this size, as the models do."""
SIFT_RATIO = 0.8
RANSAC_PX = 3.0
MIN_INLIERS = 6
SIFT = "SIFT + RANSAC"
HANDMADE = "multi-start CFOG Gauss-Newton"
Estimator = Callable[[NDArray[np.uint8], NDArray[np.uint8]], Float64Array | None]


@dataclass(frozen=True)
class Answer:
    """A method's word on one pair.

    source: (2, 3) matrix from RGB to IR pixels, or (H, W, 2) source points of a dense model; None if it refused.
    ungated: what it would have answered otherwise; the same as `source` where it did not refuse.
    ms: processor time, which other programs on the machine do not lengthen.
    """

    source: NDArray[np.floating] | None
    ungated: NDArray[np.floating] | None
    confidence: float | None
    ms: float

    @property
    def state(self) -> State:
        """`estimated` or `refused`."""
        return "refused" if self.source is None else "estimated"


class Method(Protocol):
    """What is compared. `is_model`: ours, with a confidence, never taken from an earlier report."""

    name: str
    is_model: bool

    def __call__(self, ir: Frame, rgb: Frame) -> Answer:
        """Aligns one pair."""
        ...


class Classical:
    """A method without a model: grey frames of WORK_HW in, (2, 3) matrix between them or None out."""

    is_model = False

    def __init__(self, name: str, estimator: Estimator) -> None:
        self.name, self._estimator = name, estimator

    def __call__(self, ir: Frame, rgb: Frame) -> Answer:
        """Brings both frames to WORK_HW, and the answer back; all of it is timed."""
        start = time.process_time()
        found = self._estimator(resize(to_gray(ir), WORK_HW), resize(to_gray(rgb), WORK_HW))
        if found is not None:
            found = at_native_size(found, _size(ir), _size(rgb))
        return Answer(found, found, None, (time.process_time() - start) * 1000.0)


class Model:
    """One of our models, through the public interface of the product: `Aligner.estimate`."""

    is_model = True

    def __init__(self, name: str, path: Path) -> None:
        """Loads the model on one CPU thread. Raises ModelError if `path` cannot be used."""
        self.name, self.path = name, path
        self.aligner = Aligner.load(path, provider="cpu", threads=1)
        self._session = Session(path, "cpu", 1)

    def __call__(self, ir: Frame, rgb: Frame) -> Answer:
        """Aligns one pair, untouched by earlier ones."""
        start = time.process_time()
        alignment = self.aligner.estimate(ir, rgb)
        ms = (time.process_time() - start) * 1000.0
        source = source_of(alignment)
        ungated = self._ungated(ir, rgb) if source is None else source
        return Answer(source, ungated, alignment.confidence, ms)

    def _ungated(self, ir: Frame, rgb: Frame) -> NDArray[np.floating] | None:
        """What the network said of a pair that the aligner refused."""
        info = self._session.info
        feed = {role: network_input(one, info.size_hw, info.mode) for role, one in (("moving", ir), ("fixed", rgb))}
        name = info.transform_names[0]
        transform = self._session.run(feed, [name])[name][0]
        if not np.isfinite(transform).all():
            return None
        to_source = flow_source_map if info.kind == "dense" else theta_to_matrix
        return to_source(transform, _size(rgb), _size(ir))

    def facts(self) -> dict[str, Any]:
        """What a reader must know of the file."""
        info = self.aligner.info
        size = {"size_mb": round(self.path.stat().st_size / 1e6, 2), "size_hw": list(info.size_hw)}
        return {"file": self.path.name, "network": info.network, "kind": info.kind, "run": info.training_run} | size


def embedded_models() -> dict[str, Path]:
    """The models that the package carries, by name."""
    return {path.stem: path for path in sorted(default_model_path().parent.glob("*.onnx"))}


def classical_methods() -> tuple[list[Method], list[str]]:
    """Every method that runs here, and a line on each that does not."""
    methods: list[Method] = [
        Classical("identity", lambda ir, rgb: np.eye(2, 3)),
        Classical("phase correlation", phase_correlation),
        Classical("ECC affine on gradients", ecc_on_gradients),
        Classical(SIFT, sift_ransac),
    ]
    notes: list[str] = []
    try:
        methods.append(Classical("mutual information", MutualInformation()))
    except ImportError:
        notes.append('mutual information is left out: SimpleITK is missing; pip install "vr-registration[bench]"')
    return [*methods, Classical(HANDMADE, handmade.align)], notes


def at_native_size(matrix: Float64Array, ir_hw: SizeHw, rgb_hw: SizeHw) -> Float64Array:
    """A (2, 3) matrix between two frames of WORK_HW, for the frames that these were resized from."""
    to_work, from_work = (theta_to_matrix(IDENTITY_THETA, *sizes) for sizes in ((rgb_hw, WORK_HW), (WORK_HW, ir_hw)))
    return compose(from_work, compose(matrix, to_work))


def phase_correlation(ir: NDArray[np.uint8], rgb: NDArray[np.uint8]) -> Float64Array | None:
    """The shift by phase correlation of Sobel magnitudes, with a Hanning window (OpenCV)."""
    fixed, moving = (sobel_magnitude(frame) for frame in (rgb, ir))
    window = cv2.createHanningWindow((fixed.shape[1], fixed.shape[0]), cv2.CV_32F)
    (x, y), _ = cv2.phaseCorrelate(fixed, moving, window)
    return np.array([[1.0, 0.0, x], [0.0, 1.0, y]])


def ecc_on_gradients(ir: NDArray[np.uint8], rgb: NDArray[np.uint8]) -> Float64Array | None:
    """OpenCV's ECC with an affine model on Sobel magnitudes; None if it does not converge."""
    criteria = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 100, 1e-4)
    ecc: Any = cv2.findTransformECC
    start = np.eye(2, 3, dtype=np.float32)
    try:
        _, matrix = ecc(sobel_magnitude(rgb), sobel_magnitude(ir), start, cv2.MOTION_AFFINE, criteria, None, 5)
    except cv2.error:
        return None
    return np.asarray(matrix, dtype=np.float64)


def sift_ransac(ir: NDArray[np.uint8], rgb: NDArray[np.uint8]) -> Float64Array | None:
    """SIFT, nearest neighbours with the ratio test, affine by RANSAC (OpenCV); None with fewer inliers than 6."""
    cv2.setRNGSeed(0)
    sift = cv2.SIFT.create()
    (points_rgb, words_rgb), (points_ir, words_ir) = (sift.detectAndCompute(one, None) for one in (rgb, ir))
    if words_rgb is None or words_ir is None or len(words_ir) < 2:
        return None
    matches = cv2.BFMatcher().knnMatch(words_rgb, words_ir, k=2)
    good = [first for first, second in matches if first.distance < SIFT_RATIO * second.distance]
    if len(good) < MIN_INLIERS:
        return None
    at_rgb = np.array([points_rgb[match.queryIdx].pt for match in good])
    at_ir = np.array([points_ir[match.trainIdx].pt for match in good])
    matrix, inliers = cv2.estimateAffine2D(at_rgb, at_ir, method=cv2.RANSAC, ransacReprojThreshold=RANSAC_PX)
    return None if matrix is None or inliers.sum() < MIN_INLIERS else np.asarray(matrix, dtype=np.float64)


class MutualInformation:
    """Mattes' mutual information of grey levels, affine, three resolutions, gradient descent (SimpleITK)."""

    def __init__(self) -> None:
        """Raises ImportError if SimpleITK is not installed."""
        self._itk: Any = importlib.import_module("SimpleITK")
        self._itk.ProcessObject.SetGlobalDefaultNumberOfThreads(1)

    def __call__(self, ir: NDArray[np.uint8], rgb: NDArray[np.uint8]) -> Float64Array | None:
        """The (2, 3) matrix, None where the optimiser gives up."""
        itk = self._itk
        fixed, moving = (itk.GetImageFromArray(frame.astype(np.float32)) for frame in (rgb, ir))
        start = itk.CenteredTransformInitializer(
            fixed, moving, itk.AffineTransform(2), itk.CenteredTransformInitializerFilter.GEOMETRY
        )
        method = self._registration()
        method.SetInitialTransform(start, inPlace=True)
        try:
            method.Execute(fixed, moving)
        except RuntimeError:
            return None
        linear, shift, centre = (np.array(get()) for get in (start.GetMatrix, start.GetTranslation, start.GetCenter))
        linear = linear.reshape(2, 2)
        return np.column_stack([linear, shift + centre - linear @ centre])

    def _registration(self) -> Any:
        itk = self._itk
        method = itk.ImageRegistrationMethod()
        method.SetMetricAsMattesMutualInformation(numberOfHistogramBins=32)
        method.SetMetricSamplingStrategy(method.REGULAR)
        method.SetMetricSamplingPercentage(0.25)
        method.SetInterpolator(itk.sitkLinear)
        method.SetOptimizerAsRegularStepGradientDescent(1.0, 1e-3, 100)
        method.SetOptimizerScalesFromPhysicalShift()
        method.SetShrinkFactorsPerLevel([4, 2, 1])
        method.SetSmoothingSigmasPerLevel([2.0, 1.0, 0.0])
        return method


def sobel_magnitude(gray: NDArray[np.uint8]) -> NDArray[np.float32]:
    """(h, w) uint8 to the strength of its gradient, after a blur of 1 px, (h, w) float32."""
    smooth = cv2.GaussianBlur(gray, (0, 0), 1.0).astype(np.float32)
    magnitude = cv2.magnitude(cv2.Sobel(smooth, cv2.CV_32F, 1, 0), cv2.Sobel(smooth, cv2.CV_32F, 0, 1))
    return np.asarray(magnitude, np.float32)


def _size(frame: Frame) -> SizeHw:
    return frame.shape[0], frame.shape[1]
