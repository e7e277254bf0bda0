"""The tables of `benchmarks.accuracy`: from its JSON to Markdown.

A median that is a refusal reads "refused"; what a method does not have is left empty.
"""

from typing import Any

from benchmarks.table_parts import machine_line, markdown_table

NOT_MEASURED = "Not measured."
COMBINED = ("all", "dark half")
CONTROLS = {"wide": "wider range", "generated": "generated scenes", "same_modality": "same picture, other camera"}


def render_accuracy(result: dict[str, Any]) -> str:
    """Protocol S: every method on all pairs, and on the half with the darker RGB frames."""
    head = ["pairs", "method", "median px", "< 1 px", "< 3 px", "< 5 px", "< 10 px"]
    head += ["refused", "refused though good", "confidently wrong", "ms"]
    rows = [
        [f"{group} ({one['pairs']})", method, px(one["median_px"]), *map(percent, one["below_px"].values())]
        + [str(one[key]) for key in ("refused", "refused_though_good", "confidently_wrong")]
        + [f"{one['median_ms']:.1f}"]
        for group in COMBINED
        for method, one in result["protocol_s"].get(group, {}).items()
    ]
    return f"{markdown_table(head, 2, rows)}\n\n{_labels(result)}{_models(result)}; {machine_line(result['machine'])}."


def render_controls(result: dict[str, Any]) -> str:
    """The wide range, and the pairs with exact labels."""
    head = ["pairs", "method", "median px", "< 0.3 px", "< 1 px", "< 3 px", "< 5 px", "< 10 px", "confidently wrong"]
    limits = ("0.3", "1", "3", "5", "10")
    rows = [
        [f"{title} ({one['pairs']})", method, px(one["median_px"], 2)]
        + [percent(one["below_px"].get(limit)) for limit in limits]
        + [str(one["confidently_wrong"])]
        for section, title in CONTROLS.items()
        for method, one in result.get(section, {}).items()
    ]
    return markdown_table(head, 2, rows) if rows else NOT_MEASURED


def render_hopeless(result: dict[str, Any]) -> str:
    """Share refused of the pairs that cannot be aligned, one column per model."""
    if "hopeless" not in result:
        return NOT_MEASURED
    models = result["hopeless"]
    kinds = next(iter(models.values()))
    rows = [
        [f"{kind} ({one['pairs']})", *(percent(of_model[kind]["refused"]) for of_model in models.values())]
        for kind, one in kinds.items()
    ]
    return markdown_table(["refused of", *models], 1, rows)


def render_landmarks(result: dict[str, Any]) -> str:
    """Mean landmark error of the real misaligned pairs, one column per pair."""
    if "landmarks_px" not in result:
        return NOT_MEASURED
    methods = result["landmarks_px"]
    names = list(next(iter(methods.values())))
    rows = [[method, *(px(errors[name], 2) for name in names)] for method, errors in methods.items()]
    return markdown_table(["method", *(f"pair {name}" for name in names)], 1, rows)


def render_video(result: dict[str, Any]) -> str:
    """Over time: error and jitter of steady videos, and recovery of knocked ones."""
    head = ["videos", "model", "median px", "jitter RMS px", "jitter 95 % px", "held", "refused"]
    head += ["right again, median s", "worst s"]
    steady = ("median_px", "jitter_rms_px", "jitter_p95_px")
    measured = result.get("video", {})
    rows = [
        [f"{kind} ({one['videos']})", model, *(px(one[key], 2) if key in one else "" for key in steady)]
        + [str(one.get(key, "")) for key in ("held", "refused")]
        + [_seconds(one[key]) if key in one else "" for key in ("recovery_median_s", "recovery_worst_s")]
        for model, kinds in measured.items()
        for kind, one in kinds.items()
    ]
    return markdown_table(head, 2, rows) if rows else NOT_MEASURED


def render_dense(result: dict[str, Any]) -> str:
    """End-point error on pairs that no affine aligns."""
    if "dense" not in result:
        return NOT_MEASURED
    head = ["pairs", "method", "mean px", "median px", "worse than the best affine", "folded", "refused"]
    rows = [
        [f"{kind} ({one['pairs']})", method]
        + [px(one[key], 2) for key in ("mean_px", "median_px")]
        + [str(one["worse_than_best_affine"]), percent(one["folded_share"]), str(one["refused"])]
        for kind, methods in result["dense"].items()
        for method, one in methods.items()
    ]
    return markdown_table(head, 2, rows)


def render_ablation(result: dict[str, Any]) -> str:
    """What short trainings without one ingredient each come to."""
    head = ["short training", "median px", "< 3 px", "< 5 px", "< 10 px"]
    rows = [
        [name, px(one["median_px"]), *(percent(one[f"below_{limit}_px"]) for limit in (3, 5, 10))]
        for name, one in result["variants"].items()
    ]
    amount = f"{result['recipe']['steps']} steps, {result['recipe']['scenes']} generated scenes"
    return f"{markdown_table(head, 1, rows)}\n\n{amount}; {machine_line(result['machine'])}."


def _labels(result: dict[str, Any]) -> str:
    """What is known of the labels themselves."""
    if "labels" not in result:
        return ""
    one = result["labels"]
    return (
        f"On {one['agree']} of {one['pairs']} pairs the default and the best hand-made method agree within 1 px; "
        f"on {one['agree_but_off']} of these both are more than 3 px off the label: no method gets these right.\n\n"
    )


def _models(result: dict[str, Any]) -> str:
    runs = ", ".join(f"{name} ({facts['run']})" for name, facts in result["models"].items())
    return f"Models and their training runs: {runs}"


def px(value: float | None, digits: int = 1) -> str:
    """A median or error; None is a refusal."""
    return "refused" if value is None else f"{value:.{digits}f}"


def percent(part: float | None) -> str:
    """A share in [0, 1]; None is what was not measured."""
    return "" if part is None else f"{100.0 * part:.0f} %"


def _seconds(value: float | None) -> str:
    return "never" if value is None else f"{value:.2f}"
