"""Several camera pairs in one process, and the session that they share."""

import json
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.live_command import vr_live, write_images
from tests.live_models import write_theta_model
from vr.runtime.batching import SharedRunner, share
from vr.runtime.embedded import model_path
from vr.runtime.errors import InputError, VrError
from vr.runtime.live import LiveOptions, run_pairs
from vr.runtime.pairs import read_pairs
from vr.runtime.preprocess import network_input
from vr.runtime.session import Session
from vr.runtime.sim import Simulator

COMMON = LiveOptions("", "", window=False, frames=4)


def write_toml(folder: Path, text: str) -> Path:
    path = folder / "pairs.toml"
    path.write_text(text)
    return path


def sim(seed: int) -> str:
    return f'ir = "sim:seed={seed},size=160x120"\nrgb = "sim:seed={seed},size=160x120"\n'


def test_each_pair_gets_its_own_outputs_and_report(tmp_path: Path) -> None:
    write_theta_model(tmp_path / "m.onnx", confidence=0.9)
    text = f'[[pair]]\nname = "gate"\n{sim(1)}transforms = "gate.jsonl"\n[[pair]]\n{sim(2)}record = "yard.mp4"\n'
    toml = write_toml(tmp_path, text)
    ended = vr_live("--pairs", toml, "--model", tmp_path / "m.onnx", "--frames", 5, "--no-window")
    assert (ended.code, ended.err) == (0, "")
    assert "pair gate\nframes        5 in" in ended.out and "pair 2\nframes        5 in" in ended.out
    assert len((tmp_path / "gate.jsonl").read_text().splitlines()) == 5 and (tmp_path / "yard.mp4").exists()


def test_settings_for_all_and_for_one(tmp_path: Path) -> None:
    text = f'alpha = 0.5\nestimate_every = 3\n[[pair]]\n{sim(1)}[[pair]]\n{sim(2)}alpha = 1\nestimate_every = "auto"\n'
    one, two = read_pairs(write_toml(tmp_path, text), COMMON)
    assert (one.alpha, one.estimate_every, one.name) == (0.5, "3", "1")
    assert (two.alpha, two.estimate_every, two.name, two.frames) == (1, "auto", "2", 4)


def test_files_are_found_from_the_folder_of_the_toml(tmp_path: Path) -> None:
    text = '[[pair]]\nir = "ir.mp4"\nrgb = "rtsp://box/rgb"\nrecord = "out.mp4"\n[[pair]]\nir = "0"\nrgb = "/data/x"\n'
    one, two = read_pairs(write_toml(tmp_path, text), COMMON)
    assert (one.ir, one.rgb, one.record) == (str(tmp_path / "ir.mp4"), "rtsp://box/rgb", tmp_path / "out.mp4")
    assert (two.ir, two.rgb) == ("0", "/data/x")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "has no pairs"),
        ("pair = 3\n", "has no pairs"),
        ("pair = [3]\n", "no table"),
        ("[[pair]\n", "is no TOML"),
        (f"[[pair]]\n{sim(1)}alhpa = 0.5\n", "pair 1: unknown key 'alhpa'; did you mean alpha"),
        (f"[[pair]]\n{sim(1)}[[pair]]\nir = '0'\n", "pair 2 has no rgb"),
        (f"[[pair]]\n{sim(1)}alpha = 'half'\n", "alpha is 'half'; expected a number"),
        (f"[[pair]]\n{sim(1)}alpha = 3\n", "pair 1: alpha is 3"),
        (f"[[pair]]\n{sim(1)}name = 3\n", "name is 3; expected a text"),
        (f"[[pair]]\n{sim(1)}record = 'a.mp4'\n[[pair]]\n{sim(2)}record = 'a.mp4'\n", "two pairs have the record"),
        (f"[[pair]]\n{sim(1)}name = 'a'\n[[pair]]\n{sim(2)}name = 'a'\n", "two pairs have the name a"),
    ],
)
def test_a_mistake_is_named(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(InputError, match=r"pairs\.toml") as caught:
        read_pairs(write_toml(tmp_path, text), COMMON)
    assert says in str(caught.value)


def test_either_one_pair_or_a_file_of_pairs(tmp_path: Path) -> None:
    for arguments, says in [
        ([], "no --ir and no --rgb"),
        (["--ir", "0"], "no --rgb"),
        (["--pairs", tmp_path / "none.toml"], "cannot read"),
        (["--pairs", tmp_path / "none.toml", "--ir", "0"], "exclude each other"),
    ]:
        ended = vr_live(*arguments)
        assert ended.code == 2 and says in ended.err and ended.err.count("\n") == 1


def test_a_pair_that_fails_does_not_end_the_others(tmp_path: Path) -> None:
    model = write_theta_model(tmp_path / "m.onnx", confidence=0.9)
    good, bad = (write_images(tmp_path / name, 12, (96, 128)) for name in ("good", "bad"))
    (bad / "2.png").write_bytes(b"damaged")
    pairs = [
        LiveOptions(str(f), str(f), model, window=False, transforms=tmp_path / f"{f.name}.jsonl", name=f.name)
        for f in (bad, good)
    ]
    with pytest.raises(VrError, match=r"2\.png"):
        run_pairs(pairs)
    lines = [json.loads(line) for line in (tmp_path / "good.jsonl").read_text().splitlines()]
    assert [line["index"] for line in lines] == list(range(12))
    assert not list(tmp_path.glob("*incomplete*"))


class GatedSession:
    """Answers with the moving image's mean; waits for `gate`, notes the batches."""

    def __init__(self, gate: threading.Event, fails: bool = False) -> None:
        self.path, self.info, self.provider = Path("gated"), None, "cuda"
        self.batches: list[int] = []
        self.entered = threading.Event()
        self._gate, self._fails = gate, fails

    def run(self, feed: Mapping[str, NDArray[Any]], outputs: Sequence[str]) -> dict[str, NDArray[np.float32]]:
        self.batches.append(len(feed["moving"]))
        self.entered.set()
        assert self._gate.wait(20)
        if self._fails:
            raise RuntimeError("out of memory")
        return {name: feed["moving"].mean(axis=(1, 2, 3)) for name in outputs}


def ask_all(runner: SharedRunner, session: GatedSession, gate: threading.Event, sizes: list[int]) -> list[Any]:
    """Asks from one thread each; the first one alone, the others while it is being answered."""
    results: list[Any] = [None] * len(sizes)

    def ask(number: int) -> None:
        image = np.full((1, 1, sizes[number], 8), number, np.float32)
        try:
            results[number] = float(runner.run({"moving": image}, ["mean"])["mean"][0])
        except RuntimeError as error:
            results[number] = str(error)

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(len(sizes))]
    for number, thread in enumerate(threads):
        thread.start()
        if number == 0:
            assert session.entered.wait(20)
    while len(runner._waiting) < len(sizes) - 1:
        threading.Event().wait(0.005)
    gate.set()
    for thread in threads:
        thread.join(20)
    return results


def test_what_waits_is_answered_in_one_batch_and_everyone_gets_his_own() -> None:
    gate = threading.Event()
    session = GatedSession(gate)
    results = ask_all(SharedRunner(session, most=8), session, gate, [6] * 5)  # type: ignore[arg-type]
    assert results == [0.0, 1.0, 2.0, 3.0, 4.0] and session.batches == [1, 4]


def test_a_batch_has_a_limit_and_one_shape() -> None:
    gate = threading.Event()
    session = GatedSession(gate)
    results = ask_all(SharedRunner(session, most=2), session, gate, [6, 6, 6, 6, 4])  # type: ignore[arg-type]
    assert results == [0.0, 1.0, 2.0, 3.0, 4.0] and sorted(session.batches) == [1, 1, 1, 2]


def test_an_error_reaches_everyone_in_the_batch() -> None:
    gate = threading.Event()
    session = GatedSession(gate, fails=True)
    assert ask_all(SharedRunner(session, most=8), session, gate, [6] * 3) == ["out of memory"] * 3  # type: ignore[arg-type]


def test_batched_answers_are_those_of_single_pairs() -> None:
    session = Session(model_path("small"), "cpu", 1, transform_only=True)
    frames = [Simulator(seed=seed, rgb_hw=(240, 320), ir_hw=(240, 320)).frames(0) for seed in range(3)]
    feeds = [
        {
            name: network_input(frame, session.info.size_hw)
            for name, frame in zip(("moving", "fixed"), pair, strict=True)
        }
        for pair in frames
    ]
    together = session.run({name: np.concatenate([f[name] for f in feeds]) for name in feeds[0]}, ["theta"])["theta"]
    for number, feed in enumerate(feeds):
        np.testing.assert_allclose(together[number], session.run(feed, ["theta"])["theta"][0], atol=1e-5)


def test_a_cpu_answers_pairs_one_by_one() -> None:
    session = Session(model_path("small"), "cpu", 1, transform_only=True)
    shared = share(session, pairs=3, cores=8, threads=2)
    assert (shared._most, shared._free) == (1, 3) and shared.provider == "cpu" and shared.info is session.info
