"""The figures in the model cards: from the JSON of `benchmarks.accuracy` to the Markdown between a card's markers."""

from typing import Any

from benchmarks.accuracy_dense import BEST_AFFINE
from benchmarks.table_accuracy import percent, px
from benchmarks.table_parts import machine_line, markdown_table

MARKERS = "<!-- figures:begin -->", "<!-- figures:end -->"


def render_card(result: dict[str, Any], name: str) -> str:
    """All that was measured of the model `name`, in words of one table and a few lines."""
    groups = {group: methods[name] for group, methods in result["protocol_s"].items() if name in methods}
    groups |= {"wide range": result["wide"][name]} if name in result.get("wide", {}) else {}
    head = ["pairs", "count", "median px", "< 3 px", "< 5 px", "< 10 px", "refused", "refused though good"]
    head += ["confidently wrong"]
    rows = [
        [
            group,
            str(one["pairs"]),
            px(one["median_px"]),
            *(percent(one["below_px"][limit]) for limit in ("3", "5", "10")),
        ]
        + [str(one[key]) for key in ("refused", "refused_though_good", "confidently_wrong")]
        for group, one in groups.items()
    ]
    lines = [part(result, name) for part in (_exact, _landmarks, _dense, _refusals)]
    return "\n\n".join([markdown_table(head, 1, rows), *filter(None, lines), f"{machine_line(result['machine'])}."])


def update_card(card: str, result: dict[str, Any], name: str) -> str:
    """`card` with the figures between its markers; as it was if it has none, or the report does not know the model."""
    begin, end = MARKERS
    if begin not in card or name not in result["protocol_s"].get("all", {}):
        return card
    before, rest = card.split(begin)
    return f"{before}{begin}\n{render_card(result, name)}\n{end}{rest.split(end)[1]}"


def _exact(result: dict[str, Any], name: str) -> str:
    titles = {"generated": "generated scenes", "same_modality": "a picture against a copy of itself"}
    parts = [
        f"{title} {px(one['median_px'], 2)} px median, {percent(one['below_px']['0.3'])} under 0.3 px"
        for section, title in titles.items()
        if (one := result.get(section, {}).get(name)) is not None
    ]
    return f"Exact labels: {'; '.join(parts)}." if parts else ""


def _landmarks(result: dict[str, Any], name: str) -> str:
    errors = result.get("landmarks_px", {}).get(name, {})
    said = ", ".join(px(error, 2) for error in errors.values())
    return f"Landmark errors of {len(errors)} real misaligned pairs, px at 320 px width: {said}." if errors else ""


def _dense(result: dict[str, Any], name: str) -> str:
    parts = [
        f"{kind} {px(methods[name]['mean_px'], 2)} px, {px(methods[BEST_AFFINE]['mean_px'], 2)} px of the best affine "
        f"({methods[name]['worse_than_best_affine']} of {methods[name]['pairs']} worse than that)"
        for kind, methods in result.get("dense", {}).items()
        if name in methods
    ]
    return f"Mean end-point error on pairs bent by up to 8 px: {'; '.join(parts)}." if parts else ""


def _refusals(result: dict[str, Any], name: str) -> str:
    hopeless = result.get("hopeless", {}).get(name, {}).get("all")
    calibration = result.get("confidence", {}).get(name)
    parts = [f"{percent(hopeless['refused'])} of {hopeless['pairs']} hopeless pairs refused"] if hopeless else []
    parts += [f"calibration error of the confidence {calibration['calibration_error']}"] if calibration else []
    return f"{'; '.join(parts)}." if parts else ""
