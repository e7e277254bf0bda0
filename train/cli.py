"""The command `vr-train`. It only parses: the modules `*_session` do the work."""

from pathlib import Path
from typing import Annotated

import typer

from vr.runtime import cli_errors
from vr.runtime.errors import InputError
from vr.train import dense_cli, fit_cli, match_cli, network_cli, segmenter_cli
from vr.train.evaluate import cli as evaluate_cli
from vr.train.prepare import cli as prepare_cli

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    help="Train networks that align infrared to colour images, without labels.",
)


@app.command("import-thesis")
def import_thesis(
    weights: Annotated[Path, typer.Argument(help="A .safetensors file of the thesis.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Checkpoint to write; refused if it exists.")],
) -> None:
    """Turn one of the thesis's trained networks into a checkpoint for vr-export."""
    cli_errors.require("torch", "train")
    cli_errors.require("safetensors", "train")
    from vr.train import checkpoint, thesis_weights

    if out.exists():
        raise InputError(f"{out} exists already; name another --out")
    imported = thesis_weights.import_thesis(weights)
    checkpoint.save(out, imported)
    typer.echo(f"{imported.network} network of mode mask, 240x320, written to {out}")


network_cli.register(app)
match_cli.register(app)
dense_cli.register(app)
prepare_cli.register(app)
fit_cli.register(app)
evaluate_cli.register(app)
segmenter_cli.register(app)


def main() -> None:
    """Entry point of `vr-train`."""
    cli_errors.run(app)


if __name__ == "__main__":
    main()
