"""The README's tables of what a reader decides by: the built-in models, and the default beside other methods."""

from typing import Any

from benchmarks.table_parts import machine_line, markdown_table

Report = dict[str, Any]
MODELS = ("default", "small", "clean", "dense")
_FOR = {
    "default": "most rigs",
    "small": "weak processors",
    "clean": "no terms of others: trained on generated scenes alone",
    "dense": "near and far objects in one picture",
}
OTHERS = (
    "SIFT + RANSAC",
    "ECC affine on gradients",
    "mutual information",
    "multi-start CFOG Gauss-Newton",
)
OURS = ("default", "small")


def render_models(accuracy: Report, speed: Report) -> str:
    """Error and speed of each built-in model. Of a device that nothing was measured on it says so."""
    figures, networks = accuracy["protocol_s"]["all"], {row["name"]: row for row in speed["network"]["rows"]}
    head = [
        "model",
        "for",
        "median error, px",
        "below 3 px",
        "refused",
        "confidently wrong",
        "MB",
        "ms, one CPU thread",
    ]
    rows = [_model_row(name, figures[name], accuracy["models"][name], networks) for name in MODELS if name in figures]
    machine = machine_line(speed["network"]["machine"])
    return f"{markdown_table(head, 2, rows)}\n\nNetwork: {machine}. No GPU measured yet."


def _model_row(name: str, row: Report, model: Report, networks: dict[str, Report]) -> list[str]:
    measured = next((one for label, one in networks.items() if label.split(" ")[0] == name), None)
    ms = "" if measured is None else f"{measured['median_ms']:.1f}"
    return [
        *(f"`{name}`", _FOR[name], _px(row), _percent(row["below_px"]["3"]), str(row["refused"])),
        *(str(row["confidently_wrong"]), f"{model['size_mb']:.1f}", ms),
    ]


def render_alternatives(accuracy: Report) -> str:
    """The default and small models beside what others use, on the same pairs, one thread each."""
    figures = accuracy["protocol_s"]["all"]
    head = ["method", "median error, px", "below 3 px", "confidently wrong", "ms per pair"]
    rows = [_method_row(name, figures[name]) for name in ("identity", *OTHERS, *OURS) if name in figures]
    pairs, machine = figures["identity"]["pairs"], machine_line(accuracy["machine"])
    return f"{markdown_table(head, 1, rows)}\n\n{pairs} pairs. {machine}."


def _method_row(name: str, row: Report) -> list[str]:
    shown = f"**{name}**" if name in OURS else name
    wrong, ms = f"{row['confidently_wrong']} of {row['pairs']}", f"{row['median_ms']:.1f}"
    return [shown, _px(row), _percent(row["below_px"]["3"]), wrong, ms]


def _px(row: Report) -> str:
    return "refused" if row["median_px"] is None else f"{row['median_px']:.1f}"


def _percent(share: float) -> str:
    return f"{100.0 * share:.0f} %"
