"""The wide search of the aligner, with a network that reads the truth off three dots but sees only so far."""

import re
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from tests.live_models import write_flow_model
from tests.onnx_models import affine_info, write_affine
from vr.runtime import Aligner, InputError
from vr.runtime.aligner import PairLook
from vr.runtime.geometry import (
    IDENTITY_THETA,
    apply_matrix,
    compose,
    grid_error_px,
    invert,
    theta_to_matrix,
    to_3x3,
)
from vr.runtime.guesses import HYPOTHESES, NEAR, Hypothesis, is_sane
from vr.runtime.preprocess import network_input, view_input
from vr.runtime.search import (
    FINALISTS,
    LOOKS,
    NEAR_FINALISTS,
    NEAR_TRIES_PER_FRAME,
    TRIES_PER_FRAME,
    Views,
)
from vr.runtime.session import Session
from vr.runtime.temporal import corner_distance

RGB_HW, IR_HW, NET_HW = (240, 320), (180, 300), (120, 160)
LEVELS = (130, 190, 250)
DOTS = np.array([[-0.16, -0.1], [0.2, -0.14], [0.04, 0.2]])
"""(3, 2) in the RGB frame, normalised: so near its middle that another lens sees them too."""
HOMOGRAPHY = np.array([[0.9, 0.1, 0.05], [-0.15, 1.1, -0.1], [0.06, -0.04, 1.0]])


def picture(points: np.ndarray, size_hw: tuple[int, int]) -> np.ndarray:
    """(h, w) uint8 with a disc of its own level at each normalised point."""
    frame = np.full(size_hw, 20, np.uint8)
    for (x, y), level in zip(points, LEVELS, strict=True):
        centre = round((x + 1) * size_hw[1] / 2 - 0.5), round((y + 1) * size_hw[0] / 2 - 0.5)
        cv2.circle(frame, centre, 8, (level,), cv2.FILLED)
    return frame


def pair(theta: np.ndarray, ir_hw: tuple[int, int] = IR_HW) -> tuple[np.ndarray, np.ndarray]:
    """IR and RGB frame of two cameras that stand to each other as `theta` says."""
    return picture(apply_matrix(theta, DOTS), ir_hw), np.dstack([picture(DOTS, RGB_HW)] * 3)


def dots(image: np.ndarray) -> np.ndarray | None:
    """(3, 2) normalised middles of the dots, None unless all are seen whole."""
    found = []
    for level in LEVELS:
        mask = cv2.morphologyEx((np.abs(image * 255.0 - level) < 14).astype(np.uint8), cv2.MORPH_OPEN, np.ones((3, 3)))
        ys, xs = np.nonzero(mask)
        inside = xs.size and min(xs.min(), ys.min()) > 0 and xs.max() < NET_HW[1] - 1 and ys.max() < NET_HW[0] - 1
        if not inside:
            return None
        found.append([(2 * xs.mean() + 1) / NET_HW[1] - 1, (2 * ys.mean() + 1) / NET_HW[0] - 1])
    return np.array(found)


class DotSession(Session):
    """In place of a model: the affine between the dots of both images, sure of itself near the identity only."""

    def __init__(self, reach_frames: float = 0.3) -> None:
        self.path = Path("dots.onnx")
        self.info = affine_info(size_hw=NET_HW, has_information=True)
        self.reach_frames = reach_frames
        self.runs = 0

    def run(self, feed: Any, outputs: Any) -> dict[str, Any]:
        self.runs += 1
        moving, fixed = (dots(feed[name][0, 0]) for name in ("moving", "fixed"))
        theta, confidence = IDENTITY_THETA, 0.0
        if moving is not None and fixed is not None:
            theta = np.linalg.solve(np.column_stack([fixed, np.ones(3)]), moving).T
            confidence = 0.95 if corner_distance(theta, IDENTITY_THETA) < self.reach_frames else 0.05
        answer = {"theta": theta, "confidence": confidence, "information": np.eye(6)}
        return {name: np.asarray(answer[name], np.float32)[None] for name in outputs}


@pytest.fixture
def session() -> DotSession:
    return DotSession()


def turned(rotation_deg: float, scale: float = 1.0, shift: tuple[float, float] = (0.03, -0.02)) -> np.ndarray:
    """A rig a little off the guess of the same name."""
    return compose(Hypothesis(rotation_deg, scale, shift).theta(RGB_HW, IR_HW), [[1.04, 0.05, 0], [-0.02, 0.97, 0]])


def error_px(matrix: np.ndarray | None, theta: np.ndarray) -> float:
    assert matrix is not None
    return grid_error_px(matrix, theta_to_matrix(theta, RGB_HW, IR_HW), RGB_HW)


PRIORS = {
    "turned": turned(77.0, 1.1, (0.05, -0.1)),
    "wider": turned(-25.0, 0.5, (0.15, 0.1)),
    "narrower": turned(100.0, 1.9, (0.05, -0.1)),
}


@pytest.mark.parametrize("name", PRIORS)
def test_the_whole_transform_is_the_truth_under_any_prior(session: DotSession, name: str) -> None:
    prior = PRIORS[name]
    truth = compose(prior, [[1.05, 0.08, 0.02], [-0.06, 0.94, -0.03]])
    answer = PairLook(session, *pair(truth))(prior)
    assert answer.transform is not None and answer.confidence == pytest.approx(0.95)
    assert error_px(theta_to_matrix(answer.transform, RGB_HW, IR_HW), truth) < 2.5


@pytest.mark.parametrize("prior", [*PRIORS.values(), HOMOGRAPHY], ids=[*PRIORS, "homography"])
def test_views_are_those_of_cv2(prior: np.ndarray) -> None:
    """What a network pixel shows, found through OpenCV in pixels alone; the views put the prior together."""
    rng = np.random.default_rng(0)
    frame = cv2.GaussianBlur(rng.integers(0, 255, IR_HW, dtype=np.uint8), (0, 0), 4.0).astype(np.uint8)
    views = Views.of(prior)
    ys, xs = np.mgrid[: NET_HW[0], : NET_HW[1]].astype(np.float64)
    grid = np.stack([(2 * xs + 1) / NET_HW[1] - 1, (2 * ys + 1) / NET_HW[0] - 1], axis=-1)
    source = (cv2.perspectiveTransform(grid, to_3x3(views.ir)) + 1) * np.array(IR_HW[::-1]) / 2 - 0.5
    wanted = cv2.remap(frame, source.astype(np.float32), None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)  # type: ignore[call-overload]
    assert np.abs(view_input(frame, views.ir, NET_HW)[0, 0] * 255 - wanted).mean() < 1.0
    np.testing.assert_allclose(to_3x3(views.total(IDENTITY_THETA)), to_3x3(prior), atol=1e-12)
    added = np.array([[1.1, 0.2, 0.3], [-0.1, 0.9, -0.2]])
    crop = IDENTITY_THETA if views.rgb is None else views.rgb
    seen = cv2.perspectiveTransform(DOTS[None], to_3x3(views.total(added)) @ to_3x3(crop))
    step_by_step = cv2.perspectiveTransform(cv2.perspectiveTransform(DOTS[None], to_3x3(added)), to_3x3(views.ir))
    np.testing.assert_allclose(seen, step_by_step, atol=1e-12)


def test_a_crop_of_the_rgb_frame_is_what_the_infrared_sees_of_it() -> None:
    views = Views.of(Hypothesis(90.0, 2.0, (0.2, -0.1)).theta(RGB_HW, RGB_HW))
    assert views.rgb is not None and np.linalg.det(views.rgb[:, :2]) == pytest.approx(0.25)
    np.testing.assert_allclose(apply_matrix(views.ir, (0.0, 0.0)), (0.0, 0.0), atol=1e-12)
    assert np.linalg.det(views.ir[:, :2]) == pytest.approx(1.0)


def test_information_means_the_same_on_the_whole_frame() -> None:
    """A small increment costs as much, seen in the crop or in the whole RGB frame."""
    rng = np.random.default_rng(1)
    root = rng.normal(size=(6, 6))
    views = Views.of([[2.0, 0.1, 0.3], [-0.2, 1.8, -0.5]])
    assert views.rgb is not None
    whole = np.vstack([rng.normal(size=(2, 3)), np.zeros(3)])
    cropped = to_3x3(invert(views.rgb)) @ whole @ to_3x3(views.rgb)
    costs = [
        d[:2].ravel() @ h @ d[:2].ravel()
        for d, h in ((cropped, root @ root.T), (whole, views.information(root @ root.T)))
    ]
    assert costs[0] == pytest.approx(costs[1])
    assert Views.of(IDENTITY_THETA).information(root) is root


def test_view_through_the_identity_is_the_plain_input() -> None:
    frame = pair(IDENTITY_THETA, (480, 640))[0]
    np.testing.assert_allclose(view_input(frame, IDENTITY_THETA, NET_HW), network_input(frame, NET_HW), atol=0.02)


def test_turns_are_turns_of_square_pixels() -> None:
    """A quarter turn of a wide frame: a circle stays a circle, whatever the shapes of both frames."""
    for rgb_hw, ir_hw in (((240, 320), (240, 320)), ((1080, 1920), (512, 640)), ((480, 640), (640, 480))):
        matrix = theta_to_matrix(Hypothesis(90.0, 0.5).theta(rgb_hw, ir_hw), rgb_hw, ir_hw)
        side = 0.5 * np.sqrt(ir_hw[0] * ir_hw[1] / (rgb_hw[0] * rgb_hw[1]))
        np.testing.assert_allclose(matrix[:, :2], [[0.0, -side], [side, 0.0]], atol=1e-12)
        middle = (np.array(rgb_hw[::-1]) - 1) / 2, (np.array(ir_hw[::-1]) - 1) / 2
        np.testing.assert_allclose(apply_matrix(matrix, middle[0]), middle[1], atol=1e-9)


def test_guesses_go_from_likely_to_unlikely_and_all_round() -> None:
    first = [(one.rotation_deg, one.scale, one.shift_xy) for one in HYPOTHESES]
    assert first[:2] == [(0.0, 1.0, (0.0, 0.0)), (180.0, 1.0, (0.0, 0.0))]
    places = [first.index((turn, scale, (0.0, 0.0))) for turn, scale in ((90.0, 1.0), (0.0, 2.0), (150.0, 0.5))]
    assert places == sorted(places) and places[0] < 12 < places[2]
    for scale in (0.5, 1.0, 2.0):
        assert {turn for turn, size, _ in first if size == scale} == {30.0 * step for step in range(12)}
    assert len(set(first)) == len(first) < 250


def test_a_homography_model_is_put_behind_the_prior(tmp_path: Path) -> None:
    """The test model always answers the same; its confidence is the brightness of what it sees of the infrared."""
    model = Session(write_affine(tmp_path / "m.onnx", HOMOGRAPHY), "cpu", 1)
    ir, rgb = pair(IDENTITY_THETA)
    prior = PRIORS["wider"]
    answer = PairLook(model, ir // 4 + 170, rgb)(prior)
    assert answer.transform is not None and answer.transform.shape == (3, 3)
    np.testing.assert_allclose(answer.transform, compose(prior, HOMOGRAPHY), atol=1e-6)
    tilted = PairLook(model, ir // 4 + 170, rgb)(HOMOGRAPHY)
    assert tilted.transform is not None
    np.testing.assert_allclose(tilted.transform, compose(HOMOGRAPHY, HOMOGRAPHY), atol=1e-6)


@pytest.mark.parametrize(
    ("theta", "sane"),
    [
        (Hypothesis(137.0, 2.5).theta(RGB_HW, IR_HW), True),
        (Hypothesis(60.0, 0.4, (0.3, 0.2)).theta(RGB_HW, IR_HW), True),
        (Hypothesis(0.0, 1.0, (0.33, 0.33)).theta(RGB_HW, IR_HW), True),
        (Hypothesis(0.0, 1.0, (0.6, 0.5)).theta(RGB_HW, IR_HW), False),
        (Hypothesis(0.0, 3.2).theta(RGB_HW, IR_HW), False),
        (Hypothesis(0.0, 0.3).theta(RGB_HW, IR_HW), False),
        (np.array([[1.3, 0.0, 0.0], [0.0, 0.75, 0.0]]), False),
        (np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.6, 0.5, 1.0]]), False),
    ],
    ids=["turned tele", "wide aside", "aside", "too far aside", "too near", "too wide", "stretched", "horizon"],
)
def test_sane_is_what_two_cameras_of_one_scene_can_be(theta: np.ndarray, sane: bool) -> None:
    assert is_sane(theta, RGB_HW, RGB_HW if theta[0, 0] == 1.3 else IR_HW) is sane


FAR = {
    "upside down": turned(180.0),
    "on its side": turned(-93.0),
    "askew": turned(140.0),
    "half the view": turned(10.0, 1.9),
    "twice the view": turned(0.0, 0.55, (0.2, 0.1)),
    "aside": turned(0.0, 1.0, (0.33, -0.1)),
}


@pytest.mark.parametrize("name", FAR)
def test_one_pair_far_from_aligned_is_found(session: DotSession, name: str) -> None:
    ir, rgb = pair(FAR[name])
    assert Aligner(session).estimate(ir, rgb).state == "refused"
    one = Aligner(session, search="wide").estimate(ir, rgb)
    assert one.state == "estimated" and one.confidence == pytest.approx(0.95)
    assert error_px(one.matrix_rgb_to_ir, FAR[name]) < 3.0
    assert set(one.timings_ms) == {"preprocess", "estimate"}


def test_a_near_pair_costs_one_look_and_comes_out_the_same(session: DotSession) -> None:
    ir, rgb = pair(turned(3.0))
    near = Aligner(session).estimate(ir, rgb)
    before = session.runs
    wide = Aligner(session, search="wide")
    before = session.runs
    np.testing.assert_array_equal(near.matrix_rgb_to_ir, wide.estimate(ir, rgb).matrix_rgb_to_ir)  # type: ignore[arg-type]
    assert session.runs == before + 1
    assert wide.search_text == "nothing found in 0 tries", "a single pair is not the video"


def test_what_is_not_there_is_refused_after_all_guesses(session: DotSession) -> None:
    aligner = Aligner(session, search="wide")
    ir, rgb = pair(turned(180.0))
    before = session.runs
    blank = np.full_like(ir, 90)
    assert aligner.estimate(blank, rgb).state == "refused"
    assert session.runs == before, "nothing to see costs nothing"
    ir[:, 160:] = 20
    assert aligner.estimate(ir, rgb).state == "refused"
    assert session.runs <= before + 1 + len(NEAR) + len(HYPOTHESES)


def test_a_guess_that_does_not_hold_is_not_shown(session: DotSession, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sure at first, less so when it is looked at again: enough for a near answer, not for one of many guesses."""
    run, truth = session.run, turned(180.0)
    sure = {"first": 0.95, "again": 0.65}

    def doubtful(feed: Any, outputs: Any) -> dict[str, Any]:
        answer = run(feed, outputs)
        near = corner_distance(answer["theta"][0], IDENTITY_THETA) < 0.02
        if answer["confidence"][0] > 0.5:
            answer["confidence"][0] = sure["again" if near else "first"]
        return answer

    monkeypatch.setattr(session, "run", doubtful)
    assert Aligner(session, search="wide").estimate(*pair(truth)).state == "refused"
    sure["again"] = 0.9
    assert Aligner(session, search="wide").estimate(*pair(truth)).state == "estimated"


def test_a_video_pays_for_a_few_guesses_per_frame(session: DotSession) -> None:
    aligner = Aligner(session, search="wide")
    ir, rgb = pair(FAR["askew"])
    frames, most = 0, 1 + TRIES_PER_FRAME + FINALISTS * LOOKS
    while (before := session.runs) is not None and aligner(ir, rgb, time_s=frames / 30).state == "refused":
        assert 1 + TRIES_PER_FRAME <= session.runs - before <= most
        frames += 1
        assert frames <= (len(NEAR) + len(HYPOTHESES)) / TRIES_PER_FRAME + 1
    assert frames > 1
    before = session.runs
    now = aligner(ir, rgb, time_s=frames / 30)
    assert now.state == "estimated" and session.runs == before + 1, "what was found stays in use"
    assert error_px(now.matrix_rgb_to_ir, FAR["askew"]) < 3.0
    assert found_at(aligner) == pytest.approx((138.0, 1.0), rel=0.03)


def test_lost_and_found_again(session: DotSession) -> None:
    """After the hold the old place is tried first, then everything; a video that starts anew starts without a prior."""
    aligner = Aligner(session, rig="free", search="wide")
    upside_down, dark = pair(turned(180.0)), (np.full(IR_HW, 90, np.uint8), pair(IDENTITY_THETA)[1])
    assert states(aligner, upside_down, 0.0, 4) == ["refused", "refused", "estimated", "estimated"]
    assert states(aligner, dark, 0.2, 4, 0.2) == ["held", "held", "refused", "refused"]
    assert states(aligner, upside_down, 1.2, 2)[0] == "estimated", "the cover was lifted"
    side = states(aligner, pair(turned(90.0)), 1.3, 60)
    first = side.index("refused")
    assert side[:first].count("held") == first > 0
    assert side[-1] == "estimated"
    assert found_at(aligner) == pytest.approx((87.0, 1.0), rel=0.03)
    aligner.reset()
    assert aligner.search_text == "nothing found in 0 tries"
    assert states(aligner, pair(turned(0.0)), 0.0, 1) == ["estimated"]
    assert aligner.search_text is not None and aligner.search_text.endswith(", after 1 try")


def found_at(aligner: Aligner) -> tuple[float, float]:
    """Degrees and scale of what the search says."""
    words = re.fullmatch(r"found at (-?\d+) degrees, scale (\d\.\d\d), after \d+ tries", aligner.search_text or "")
    assert words is not None, aligner.search_text
    return float(words[1]), float(words[2])


def states(
    aligner: Aligner, frames: tuple[np.ndarray, np.ndarray], start_s: float, count: int, step_s: float = 1 / 30
) -> list[str]:
    return [aligner(*frames, time_s=start_s + i * step_s).state for i in range(count)]


def test_unknown_search_names_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="unknown search 'far'; expected one of none, near, wide"):
        Aligner.load(write_affine(tmp_path / "m.onnx"), provider="cpu", search="far")


def test_models_that_cannot_be_searched_with_say_so(tmp_path: Path) -> None:
    write_flow_model(tmp_path / "dense.onnx", (1.0, 0.0), confidence=0.9)
    write_affine(tmp_path / "mask.onnx", info=affine_info(mode="mask"))
    write_affine(tmp_path / "unsure.onnx", info=affine_info(has_confidence=False))
    for name, what in (("dense", "dense, gray"), ("mask", "affine, mask"), ("unsure", "without confidence")):
        Aligner.load(tmp_path / f"{name}.onnx", provider="cpu", threads=1)
        with pytest.raises(InputError, match=what):
            Aligner.load(tmp_path / f"{name}.onnx", provider="cpu", threads=1, search="wide")


BARELY = turned(14.0, 1.3)


def test_near_guesses_reach_what_one_look_does_not(session: DotSession) -> None:
    """The test network sees 12 degrees far; `none` is one look."""
    assert Aligner(session, search="none").estimate(*pair(BARELY)).state == "refused"
    one = Aligner(session).estimate(*pair(BARELY))
    assert one.state == "estimated"
    assert error_px(one.matrix_rgb_to_ir, BARELY) < 3.0


def test_a_lost_video_pays_little_for_near_guesses(session: DotSession) -> None:
    aligner = Aligner(session)
    ir, rgb = pair(turned(180.0))
    for number in range(6):
        before = session.runs
        assert aligner(ir, rgb, time_s=number / 30).state == "refused"
        assert session.runs - before <= 1 + NEAR_TRIES_PER_FRAME + NEAR_FINALISTS * LOOKS
    assert aligner.search_text is None


def test_a_model_that_cannot_be_searched_with_gets_one_look(tmp_path: Path) -> None:
    write_affine(tmp_path / "unsure.onnx", info=affine_info(has_confidence=False))
    assert (
        Aligner.load(tmp_path / "unsure.onnx", provider="cpu", threads=1).estimate(*pair(IDENTITY_THETA)).confidence
        is None
    )


@pytest.mark.parametrize(("again", "state"), [(0.3, "refused"), (0.6, "estimated")])
def test_an_answer_that_is_not_sure_is_looked_at_again(
    session: DotSession, monkeypatch: pytest.MonkeyPatch, again: float, state: str
) -> None:
    """A wrong one is less sure then; a right one stays, and comes out nearer."""
    run, truth, aligner = session.run, turned(3.0), Aligner(session)
    said = [0.65, again]

    def doubtful(feed: Any, outputs: Any) -> dict[str, Any]:
        return {**run(feed, outputs), "confidence": np.array([said.pop(0) if said else 0.0], np.float32)}

    monkeypatch.setattr(session, "run", doubtful)
    one = aligner.estimate(*pair(truth))
    assert (one.state, one.confidence) == (state, pytest.approx(again) if state == "estimated" else 0.0)


def test_without_a_search_an_unsure_answer_is_the_answer(session: DotSession, monkeypatch: pytest.MonkeyPatch) -> None:
    run = session.run
    monkeypatch.setattr(session, "run", lambda f, o: {**run(f, o), "confidence": np.array([0.65], np.float32)})
    assert Aligner(session, search="none").estimate(*pair(turned(3.0))).state == "estimated"
