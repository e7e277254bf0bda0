"""The command `vr-train evaluate`: how well a model aligns a folder of pairs."""

from pathlib import Path
from typing import Annotated, Any

import typer

from vr.runtime import cli_errors

Model = Annotated[str, typer.Argument(help="Checkpoint (.pt), ONNX estimate file, or a built-in model by name.")]
Data = Annotated[
    Path,
    typer.Argument(help="Folder with rgb/ and ir/; beside them, if known, masks/, landmarks/STEM.json, truth.jsonl."),
]
Out = Annotated[Path, typer.Option(help="Folder to create for figures and pictures.")]
Part = Annotated[
    str | None, typer.Option(show_default="test by the manifest, else all", help="all, train, val or test.")
]
Warps = Annotated[
    bool, typer.Option("--warps", help="Move every IR frame by a random known affine; the pairs must be aligned.")
]
Seed = Annotated[int, typer.Option(min=0, help="Draws the affines of --warps.")]
Pictures = Annotated[int, typer.Option(min=0, help="Draw so many of the first and of the worst pairs.")]
Similarities = Annotated[
    str, typer.Option("--similarity", metavar="NAME,...", help="Which of ncc, ngf, mi and mind to measure.")
]


def register(app: typer.Typer) -> None:
    """Adds the command to `vr-train`."""
    app.command("evaluate")(evaluate)


def evaluate(
    model: Model,
    data: Data,
    out: Out,
    part: Part = None,
    warps: Warps = False,
    seed: Seed = 0,
    pictures: Pictures = 8,
    similarity: Similarities = "ncc,ngf,mi,mind",
) -> None:
    """Measure a model on a folder of pairs: similarity, masks, folding, known warps, landmarks; with pictures."""
    for module in ("torch", "tensorboard", "matplotlib"):
        cli_errors.require(module, "train")
    from vr.train.evaluate.session import Request, run_evaluate

    names = tuple(name.strip() for name in similarity.split(",") if name.strip())
    figures = run_evaluate(Request(model, data, out, part, warps, seed, pictures, names))
    for line in lines_of(figures):
        typer.echo(line)
    typer.echo(f"figures, pairs.csv and pictures in {out}")


def lines_of(figures: dict[str, Any]) -> list[str]:
    """The summary for people."""
    lines = [f"{figures['pairs']} pairs, {figures['refused']} refused, {figures['median_ms']:.1f} ms each (median)"]
    for name, what in (("known_warp", "error against the truth"), ("landmarks", "landmark error")):
        if (found := figures[name]) is not None:
            lines.append(f"{what}, {found['pairs']} pairs: {_error(found)}")
    for name, found in {"Dice": figures["dice"], "IoU": figures["iou"], **figures["similarity"]}.items():
        if found is not None:
            lines.append(f"{name}: median {found['before']:.3f} before, {found['after']:.3f} after")
    if (found := figures["folding"]) is not None:
        lines.append(f"folds at {found['mean_share']:.3%} of the pixels")
    if (found := figures["round_trip"]) is not None:
        lines.append(f"there and back (sides swapped), {found['pairs']} pairs: median {found['median_px']:.2f} px")
    return lines


def _error(found: dict[str, Any]) -> str:
    before, after = (found[name]["median_px"] for name in ("identity", "model"))
    shares = ", ".join(f"{share:.0%} under {limit}" for limit, share in found["model"]["below_px"].items())
    return f"median {before:.1f} px before, {'refused' if after is None else f'{after:.1f} px'} after; {shares}"
