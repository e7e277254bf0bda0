"""`vr-train match --finetune`: one transform out of many pairs, and a network that knows it."""

import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from tests.train_command import refused, vr_train_here
from vr.models.rig import RigNet
from vr.runtime import Aligner
from vr.runtime.embedded import EMBEDDED
from vr.runtime.errors import InputError, OutputError
from vr.runtime.geometry import Float64Array, apply_matrix, matrix_to_theta, theta_to_matrix
from vr.runtime.sim import Simulator
from vr.train import checkpoint, finetune_session, rig_footage
from vr.train.data import list_pairs, read_image
from vr.train.torch_session import TorchSession

RIG = np.array([[0.97, 0.05, 0.08], [-0.04, 1.02, -0.06]])
RGB_HW, IR_HW = (240, 320), (192, 256)


@pytest.fixture(scope="module")
def footage(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve pairs of one generated scene with people, seen by a rig with the transform `RIG`."""
    folder = tmp_path_factory.mktemp("rig")
    scene = Simulator(3, RGB_HW, IR_HW, misalignment=RIG, drift_px_s=0.0)
    for role in ("ir", "rgb"):
        (folder / role).mkdir()
    for number in range(12):
        ir, rgb = scene.frames(number * 20)
        cv2.imwrite(str(folder / "ir" / f"{number:02d}.png"), ir)
        cv2.imwrite(str(folder / "rgb" / f"{number:02d}.png"), rgb)
    return folder


def built_in(name: str) -> Aligner:
    return Aligner(TorchSession.of(checkpoint.load(Path(name))))


@pytest.mark.parametrize("name", EMBEDDED)
def test_the_built_in_checkpoints_are_those_of_the_built_in_models(footage: Path, name: str) -> None:
    pair = list_pairs(footage)[0]
    ir, rgb = read_image(pair.ir), read_image(pair.rgb)
    ours, theirs = built_in(name).estimate(ir, rgb), Aligner.load(name, "cpu", 1).estimate(ir, rgb)
    assert ours.confidence == pytest.approx(theirs.confidence, abs=1e-3)
    np.testing.assert_allclose(ours.source_map_xy(), theirs.source_map_xy(), atol=0.01)


def test_the_rig_s_transform_is_found_from_pairs_that_are_not_aligned(
    footage: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rig_footage, "VIEWS", 24)
    done: list[int] = []
    found = rig_footage.find_rig(built_in("small"), list_pairs(footage), 0, lambda: done.append(1))
    assert found.answered == 1.0
    assert found.scatter_px < 1.5
    assert rig_footage.theta_distance_px(found.theta, RIG) < 1.0
    assert len(done) == 12 + 24


def test_aligned_pairs_are_cut_to_what_both_cameras_see(footage: Path, tmp_path: Path) -> None:
    rig_footage.write_aligned(list_pairs(footage), RIG, tmp_path)
    pairs = list_pairs(tmp_path)
    assert [pair.stem for pair in pairs] == [f"{number:02d}" for number in range(12)]
    ir, rgb = read_image(pairs[0].ir), read_image(pairs[0].rgb)
    assert ir.shape == rgb.shape
    assert 0.6 * 320 <= rgb.shape[1] < 320
    # A border of the IR frame that had come along would be black.
    assert min(ir[0].max(), ir[-1].max(), ir[:, 0].max(), ir[:, -1].max()) > 0


def test_16_bit_infrared_is_footage_too(footage: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rig_footage, "VIEWS", 12)
    for role in ("ir", "rgb"):
        (tmp_path / role).mkdir()
        for path in sorted((footage / role).iterdir()):
            image = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
            assert image is not None
            cv2.imwrite(
                str(tmp_path / role / path.name), image.astype(np.uint16) * 20 + 7000 if role == "ir" else image
            )
    found = rig_footage.find_rig(built_in("small"), list_pairs(tmp_path), 0)
    assert found.answered == 1.0 and rig_footage.theta_distance_px(found.theta, RIG) < 1.0
    rig_footage.write_aligned(list_pairs(tmp_path), found.theta, tmp_path / "aligned")
    assert read_image(tmp_path / "aligned" / "ir" / "00.png").dtype == np.uint8


def test_a_pair_that_cannot_be_aligned_leaves_nothing_behind(footage: Path, tmp_path: Path) -> None:
    pairs = list_pairs(footage)[:2]
    (tmp_path / "torn.png").write_bytes(b"")
    with pytest.raises(InputError, match="empty"):
        rig_footage.write_aligned([pairs[0], replace(pairs[1], ir=tmp_path / "torn.png")], RIG, tmp_path / "aligned")
    assert [path.name for path in tmp_path.iterdir()] == ["torn.png"]


def test_a_full_disk_leaves_nothing_half_written(
    footage: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_room(path: Path, _content: bytes) -> int:
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr(Path, "write_bytes", no_room)
    with pytest.raises(OutputError, match="No space left on device"):
        rig_footage.write_aligned(list_pairs(footage), RIG, tmp_path / "aligned")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("seed", range(20))
def test_the_common_window_lies_in_both_frames_and_is_nearly_the_largest(seed: int) -> None:
    rng = np.random.default_rng(seed)
    theta = np.eye(2, 3) + rng.uniform(-0.12, 0.12, (2, 3))
    matrix = theta_to_matrix(theta, RGB_HW, IR_HW)
    rows, columns = rig_footage.common_window(matrix, RGB_HW, IR_HW)
    assert 0 <= rows.start < rows.stop <= RGB_HW[0] and 0 <= columns.start < columns.stop <= RGB_HW[1]
    assert inside(matrix, rows, columns)
    grown = (
        slice(max(rows.start - 12, 0), min(rows.stop + 12, 240)),
        slice(max(columns.start - 16, 0), min(columns.stop + 16, 320)),
    )
    assert grown == (slice(0, 240), slice(0, 320)) or not inside(matrix, *grown)


def inside(matrix: Float64Array, rows: slice, columns: slice) -> bool:
    """Whether all corners of the window have their source among the IR frame's pixel centres."""
    corners = [(x, y) for x in (columns.start, columns.stop - 1) for y in (rows.start, rows.stop - 1)]
    source = apply_matrix(matrix, np.array(corners, float))
    return bool((source >= 0).all() and (source <= (IR_HW[1] - 1, IR_HW[0] - 1)).all())


def test_cameras_with_little_in_common_are_refused() -> None:
    with pytest.raises(InputError, match="less than a quarter"):
        rig_footage.common_window(theta_to_matrix([[1, 0, 1.2], [0, 1, 0]], RGB_HW, IR_HW), RGB_HW, IR_HW)


def test_pairs_of_cameras_that_move_are_refused(footage: Path, tmp_path: Path) -> None:
    for number, pair in enumerate(list_pairs(footage)):
        for role, path in (("ir", pair.ir), ("rgb", pair.rgb)):
            image = cv2.imread(str(path))
            assert image is not None
            shift = np.array([[1.0, 0.0, (number - 5.5) * 6.0 * (role == "ir")], [0.0, 1.0, 0.0]])
            (tmp_path / role).mkdir(exist_ok=True)
            cv2.imwrite(str(tmp_path / role / path.name), cv2.warpAffine(image, shift, image.shape[1::-1]))
    with pytest.raises(InputError, match=r"do not agree on one transform.*do not move"):
        rig_footage.find_rig(built_in("small"), list_pairs(tmp_path), 0)


def test_fine_tuning_leaves_a_network_that_knows_the_rig(
    footage: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (rig_footage, finetune_session):
        monkeypatch.setattr(module, "VIEWS", 24)
    out = tmp_path / "rig"
    done = vr_train_here("match", footage, "--finetune", "small", "--out", out)
    assert done.returncode == 0, done.stderr
    assert "100% of 12 pairs aligned" in done.stdout and f"vr-export {out / 'best.pt'}" in done.stdout
    assert {path.name for path in out.iterdir()} == {"aligned", "best.pt", "rig.json"}
    theta = np.array(json.loads((out / "rig.json").read_text())["theta"])
    assert rig_footage.theta_distance_px(theta, RIG) < 1.0
    saved, before = checkpoint.load(out / "best.pt"), checkpoint.load(Path("small"))
    net = saved.build()
    assert isinstance(net, RigNet) and net.size_hw == (160, 208) and net.match.rounds == (3, 2, 1)
    assert all(value.equal(before.weights[name]) for name, value in net.match.state_dict().items())
    assert saved.training["finetuned_from"] == before.run and saved.run.startswith("rig-")
    knowing, plain = (own_distance_px(built_in(name), footage, theta) for name in (str(out / "best.pt"), "small"))
    assert knowing < 0.2 * plain
    taken = refused(vr_train_here("match", footage, "--finetune", "small", "--out", out))
    assert taken.endswith("exists and is not empty; name another --out")
    again = vr_train_here("match", footage, "--finetune", out / "best.pt", "--out", tmp_path / "again")
    assert again.returncode == 0, again.stderr
    assert json.loads((tmp_path / "again" / "rig.json").read_text()) == json.loads((out / "rig.json").read_text())


def own_distance_px(aligner: Aligner, footage: Path, theta: Float64Array) -> float:
    """Median distance of the pairs' single answers from `theta`."""
    pairs = list_pairs(footage)
    found = [aligner.estimate(read_image(pair.ir), read_image(pair.rgb)).matrix_rgb_to_ir for pair in pairs]
    answers = [matrix_to_theta(matrix, RGB_HW, IR_HW) for matrix in found if matrix is not None]
    return float(np.median([rig_footage.theta_distance_px(one, theta) for one in answers]))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--finetune", "nothing.pt"), "cannot read the checkpoint nothing.pt"),
        (("--finetune", "default", "--start", "default"), "--finetune goes without --start"),
        (("--finetune", "default", "--resume", "--steps", "9"), "--finetune goes without --resume, --steps"),
        (("--finetune", "dense"), "holds a match-dense network, expected match"),
    ],
)
def test_what_cannot_be_fine_tuned_is_refused(
    footage: Path, tmp_path: Path, options: tuple[str, ...], message: str
) -> None:
    assert message in refused(vr_train_here("match", footage, *options, "--out", tmp_path / "run"))
    assert not (tmp_path / "run").exists()


def test_fine_tuning_wants_one_rig_with_enough_pairs(footage: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    assert "takes one folder" in refused(vr_train_here("match", footage, footage, "--finetune", "small", "--out", out))
    for role in ("ir", "rgb"):
        (tmp_path / "few" / role).mkdir(parents=True)
        for name in ("00.png", "01.png"):
            (tmp_path / "few" / role / name).write_bytes((footage / role / name).read_bytes())
    assert "only 2 pair(s)" in refused(vr_train_here("match", tmp_path / "few", "--finetune", "small", "--out", out))


def test_the_distance_of_two_transforms_is_the_project_s_grid_error() -> None:
    matrix = theta_to_matrix(RIG, (240, 320), (240, 320))
    moved = matrix + np.array([[0, 0, 3.0], [0, 0, 4.0]])
    theta = matrix_to_theta(moved, (240, 320), (240, 320))
    assert rig_footage.theta_distance_px(theta, RIG) == pytest.approx(5.0)


def net_with_prior(scatter_px: float) -> RigNet:
    return RigNet((240, 320), rig=RIG.tolist(), scatter_px=scatter_px)


@pytest.mark.parametrize(("shift_px", "left_px"), [(0.5, 0.5 / 17), (1.0, 0.5), (2.0, 2.0 * 16 / 17), (20.0, 20.0)])
def test_an_answer_is_drawn_to_the_rig_as_long_as_it_is_near(shift_px: float, left_px: float) -> None:
    """d^4 / (d^4 + (3 scatter)^4) of a distance of half the reach, the reach, twice the reach, and of a knock."""
    shifted = RIG + np.array([[0, 0, shift_px / 160.0], [0, 0, 0]])
    drawn = net_with_prior(1.0 / 3.0).drawn(torch.from_numpy(shifted).float()[None])[0].double().numpy()
    assert rig_footage.theta_distance_px(drawn, RIG) == pytest.approx(left_px, rel=1e-3)


def test_the_distance_is_the_root_mean_square_over_the_frame() -> None:
    offset = np.array([[0.01, -0.02, 0.005], [0.015, 0.01, -0.02]])
    x, y = np.meshgrid(np.linspace(-1, 1, 401), np.linspace(-1, 1, 401))
    moved = offset @ np.stack([x.ravel(), y.ravel(), np.ones(x.size)]) * np.array([[160.0], [120.0]])
    found = net_with_prior(1.0)._mean_square_px(torch.from_numpy(offset).float()[None])
    assert float(found) == pytest.approx(float(np.square(moved).sum(axis=0).mean()), rel=0.01)


@pytest.mark.parametrize(("rig", "scatter_px"), [(((1.0, 0.0), (0.0, 1.0)), 1.0), (RIG.tolist(), 0.0)])
def test_a_prior_is_a_transform_and_a_length(rig: list[list[float]], scatter_px: float) -> None:
    with pytest.raises(ValueError, match="2x3 numbers and a length"):
        RigNet((96, 128), rig=rig, scatter_px=scatter_px)
