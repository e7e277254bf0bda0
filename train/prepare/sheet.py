"""`contact.png`: what was kept, and examples of what was dropped for each reason, to look at before training."""

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from vr.runtime.preprocess import Frame, to_bgr
from vr.train.prepare.folder import CONTACT, EXAMPLES, DatasetFolder, Line
from vr.train.prepare.plan import REASONS, Plan, Planned

_VIEW_WIDTH_PX = 160
_GAP_PX = 6
_TITLE_PX = 24
_COLUMNS = 4
_EXAMPLES = 4
_KEPT = 12
_PAPER = 245
_OUTLINE_BGR = (0, 200, 255)

Uint8s = NDArray[np.uint8]


class Examples:
    """Small pictures of dropped pairs, kept in the folder until the sheet is made so that `--resume` finds them."""

    def __init__(self, folder: DatasetFolder, plan: Plan) -> None:
        self._folder = folder
        self._wanted = {stem for reason in REASONS for stem in _spread(plan, reason)}

    def wants(self, pair: Planned) -> bool:
        """Whether a pair that the plan drops is to be shown."""
        return pair.stem in self._wanted

    def add(self, pair: Planned, reason: str, ir: Frame, rgb: Frame) -> None:
        """Keeps a picture; of reasons that show only now (masks) the first few."""
        folder = f"{EXAMPLES}/{reason.replace(' ', '_')}"
        is_planned = bool(pair.reason)
        if is_planned or len(_pictures(self._folder.root / folder)) < _EXAMPLES:
            self._folder.write_image(f"{folder}/{pair.stem}.png", _side_by_side(ir, rgb))


def write_sheet(folder: DatasetFolder, lines: list[Line]) -> None:
    """Writes `contact.png`. Raises OutputError if it cannot be written."""
    kept = [line["stem"] for line in lines if line["decision"] == "kept"]
    rows = [_group(f"kept ({len(kept)})", [_kept_view(folder.root, stem) for stem in _evenly(kept, _KEPT)])]
    for reason in REASONS:
        count = sum(line["reason"] == reason for line in lines)
        pictures = _pictures(folder.root / EXAMPLES / reason.replace(" ", "_"))
        if count:
            rows.append(_group(f"dropped: {reason} ({count})", [_read(path) for path in pictures]))
    folder.write_image(CONTACT, np.vstack(rows))


def _spread(plan: Plan, reason: str) -> list[str]:
    return _evenly([pair.stem for pair in plan.pairs if pair.reason == reason], _EXAMPLES)


def _evenly(stems: list[str], count: int) -> list[str]:
    picks = np.unique(np.linspace(0, len(stems) - 1, count).round().astype(int)) if stems else []
    return [stems[pick] for pick in picks]


def _pictures(folder: Path) -> list[Path]:
    return sorted(folder.glob("[!.]*.png"))


def _read(path: Path) -> Uint8s:
    image = cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), cv2.IMREAD_COLOR)
    return np.zeros((16, 16, 3), np.uint8) if image is None else image  # type: ignore[return-value]


def _kept_view(root: Path, stem: str) -> Uint8s:
    """RGB and IR as they were written, with the outlines of their masks."""
    views: list[Uint8s] = []
    for name in ("rgb", "ir"):
        view = _small(_read(next((root / name).glob(f"{stem}.*"))))
        mask_file = root / "masks" / name / f"{stem}.png"
        if mask_file.exists():
            mask = cv2.resize(_read(mask_file)[:, :, 0], view.shape[1::-1], interpolation=cv2.INTER_NEAREST)
            outlines, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
            cv2.drawContours(view, outlines, -1, _OUTLINE_BGR, 1)
        views.append(view)
    return _joined(*views)


def _side_by_side(ir: Frame, rgb: Frame) -> Uint8s:
    return _joined(_small(to_bgr(rgb)), _small(to_bgr(ir)))


def _small(bgr: Uint8s) -> Uint8s:
    height = max(1, round(bgr.shape[0] * _VIEW_WIDTH_PX / bgr.shape[1]))
    return cv2.resize(bgr, (_VIEW_WIDTH_PX, height), interpolation=cv2.INTER_AREA)  # type: ignore[return-value]


def _joined(left: Uint8s, right: Uint8s) -> Uint8s:
    """Two views beside each other, of the height of the higher one."""
    height = max(left.shape[0], right.shape[0])
    return np.hstack([_padded(view, height) for view in (left, right)])


def _padded(view: Uint8s, height: int) -> Uint8s:
    below = height - view.shape[0]
    return cv2.copyMakeBorder(view, 0, below, 0, 0, cv2.BORDER_CONSTANT, value=(_PAPER,) * 3)  # type: ignore[return-value]


def _group(title: str, cells: list[Uint8s]) -> Uint8s:
    """A title, and the cells in rows below it; RGB is left, IR right."""
    height = max((cell.shape[0] for cell in cells), default=1)
    width = 2 * _VIEW_WIDTH_PX + _GAP_PX
    count = max(1, -(-len(cells) // _COLUMNS))
    sheet = np.full((_TITLE_PX + count * (height + _GAP_PX), _COLUMNS * width + _GAP_PX, 3), _PAPER, np.uint8)
    cv2.putText(sheet, title, (_GAP_PX, _TITLE_PX - 7), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (0, 0, 0), 1, cv2.LINE_AA)
    for number, cell in enumerate(cells):
        y = _TITLE_PX + number // _COLUMNS * (height + _GAP_PX)
        x = _GAP_PX + number % _COLUMNS * width
        sheet[y : y + cell.shape[0], x : x + cell.shape[1]] = cell
    return sheet
