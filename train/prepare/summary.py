"""What a preparation did, as JSON and as a table: frames read, dropped at each step, kept in each part."""

from collections import Counter
from typing import Any

from vr.train.prepare.folder import Line
from vr.train.prepare.plan import (
    DARK,
    DUPLICATE,
    EMPTY,
    FROZEN,
    GUARD,
    IMPLAUSIBLE,
    NO_PERSON,
    REASONS,
    Plan,
    PlannedSource,
)
from vr.train.prepare.settings import Settings
from vr.train.prepare.splitting import PARTS

Table = list[tuple[str, str]]


def summarise(plan: Plan, lines: list[Line], settings: Settings, stored_masks: bool) -> dict[str, Any]:
    """The content of `report.json`. `stored_masks`: masks came with an archive."""
    counts = Counter(str(line["reason"]) for line in lines)
    is_on = _switches(settings, stored_masks)
    return {
        "sources": [_source(source) for source in plan.sources],
        "examined": len(lines),
        "dropped": {reason: counts[reason] if is_on[reason] else "off" for reason in REASONS},
        "kept": counts["None"],
        "split": {part: sum(line["split"] == part for line in lines) for part in PARTS} if settings.split else "off",
        "settings": settings.to_dict(),
    }


def table(report: dict[str, Any]) -> Table:
    """Rows of heading and text, for people."""
    rows: Table = []
    for source in report["sources"]:
        rows += _source_rows(source)
    rows.append(("pairs examined", str(report["examined"])))
    rows += [(f"dropped, {reason}", str(count)) for reason, count in report["dropped"].items()]
    rows.append(("kept", str(report["kept"])))
    split = report["split"]
    rows.append(("split", split if isinstance(split, str) else ", ".join(f"{n} {part}" for part, n in split.items())))
    return rows


def warnings(report: dict[str, Any]) -> list[str]:
    """What a user should know before training on the result."""
    found: list[str] = []
    if not report["kept"]:
        found.append("nothing was kept; look at contact.png for the reasons")
    elif isinstance(report["split"], dict) and not all(report["split"].values()):
        found.append("a part of the split is empty; add recordings, or change --shares")
    if isinstance(report["dropped"][GUARD], int) and report["dropped"][GUARD]:
        found.append("one scene had to be divided: its parts show the same place at different times")
    return found


def _source(source: PlannedSource) -> dict[str, Any]:
    offset = source.offset
    return {
        "ir": _recording(source, "ir"),
        "rgb": _recording(source, "rgb"),
        "offset_ms": round(source.offset_ms, 1),
        "offset_confidence": round(offset.confidence, 3) if offset else None,
        "offset_correlation": round(offset.correlation, 3) if offset else None,
        "pairs": len(source.pairs.ir),
        "without_partner": {"ir": source.pairs.unpaired_ir, "rgb": source.pairs.unpaired_rgb},
    }


def _recording(source: PlannedSource, role: str) -> dict[str, Any]:
    survey = source.ir if role == "ir" else source.rgb
    return {
        "source": survey.name,
        "frames": len(survey.index),
        "broken": survey.broken,
        "broken_examples": survey.broken_named,
        "size": f"{survey.size_hw[1]}x{survey.size_hw[0]}",
        "coloured": survey.is_coloured,
        "burnt_in_share": round(float(survey.pixels.overlay().mean()), 4),
    }


def _source_rows(source: dict[str, Any]) -> Table:
    rows: Table = []
    for role in ("ir", "rgb"):
        recording = source[role]
        lost = f"{recording['broken']} broken, {source['without_partner'][role]} without partner"
        text = f"{recording['frames']} frames of {recording['size']}, {lost}"
        rows.append((f"{role.upper()} {recording['source']}", text))
        rows += [("  broken", why) for why in recording["broken_examples"]]
    confidence = source["offset_confidence"]
    found = "given" if confidence is None else f"estimated, confidence {confidence:.2f}"
    offset_ms = f"{source['offset_ms']:.0f}"
    return [*rows, ("offset", f"{offset_ms} ms ({found}); vr-live --ir-offset-ms {offset_ms}")]


def _switches(settings: Settings, stored_masks: bool) -> dict[str, bool]:
    judges = settings.plausible and (stored_masks or settings.masks != "none")
    return {
        DARK: settings.dark,
        FROZEN: settings.frozen,
        EMPTY: settings.empty,
        DUPLICATE: settings.duplicates,
        GUARD: settings.split,
        NO_PERSON: judges,
        IMPLAUSIBLE: judges,
    }
