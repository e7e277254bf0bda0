"""The half of the table of options that is about what comes out: picture, files, page, and the run itself.

See `vr.runtime.options`, which is the whole table.
"""

from pathlib import Path

from vr.runtime.option import AUTO, Option
from vr.runtime.style import VIEWS
from vr.runtime.thermal import DISPLAY

OUTPUT_OPTIONS_BY_GROUP: dict[str, tuple[Option, ...]] = {
    "Picture": (
        Option(
            "alpha",
            float,
            "Share of the IR picture, 0 to 1.",
            low=0,
            high=1,
            expected="0 (RGB alone) to 1 (IR alone)",
            pair=True,
        ),
        Option("view", str, f"What the picture shows: {', '.join(VIEWS)}.", choices=VIEWS, pair=True, metavar="NAME"),
        Option(
            "split",
            float,
            "Place of the line of --view split, 0 (left edge) to 1 (right edge).",
            low=0,
            high=1,
            pair=True,
        ),
        Option(
            "ir_above",
            int,
            "Level, 0 to 255, from which on --view threshold shows infrared.",
            low=0,
            high=255,
            pair=True,
        ),
        Option(
            "palette",
            str,
            f"Colours of the infrared part of the picture: {', '.join(DISPLAY)}. The network never sees them.",
            choices=DISPLAY,
            pair=True,
            metavar="NAME",
        ),
        Option("realtime", bool, "Play recordings at the speed at which they were taken; --web does.", pair=True),
        Option("loop", bool, "Play recordings again and again, until stopped.", pair=True),
        Option("window", bool, "Show the picture on the screen."),
        Option(
            "keep",
            Path,
            "Keep what is changed on the page in this file, and begin with it; default: one file per rig in the user's "
            "state folder; none: forget it.",
            pair=True,
            built_in=("none",),
            example="none",
        ),
    ),
    "Files": (
        Option(
            "record",
            Path,
            "Record the picture: NAME.mp4, or a folder for PNG files.",
            pair=True,
            example="out.mp4",
        ),
        Option("transforms", Path, "Write one JSON object per frame into this file.", pair=True, example="out.jsonl"),
        Option("flows", Path, "Write one source map (.npy) per frame into this folder.", pair=True, example="flows"),
        Option("overwrite", bool, "Replace existing output files."),
    ),
    "Storage": (
        Option(
            "segment",
            str,
            "Divide the recording NAME.mp4 into files NAME-20261126T041500Z.mp4 (UTC) of so long or so much: "
            "90s, 10m, 1h, 500MB or 2GB.",
            part="storage",
            pair=True,
            metavar="TIME|SIZE",
            example="1h",
        ),
        Option(
            "keep_days",
            float,
            "Delete segments of this recording, also of earlier runs, that began more days ago.",
            part="storage",
            pair=True,
            above=0,
            example=14.0,
        ),
        Option(
            "keep_gb",
            float,
            "Delete the oldest segments of this recording, also of earlier runs, beyond so many GB together.",
            part="storage",
            pair=True,
            above=0,
            example=100.0,
        ),
        Option(
            "keep_free_mb",
            float,
            "Of cameras: record only while so many MB are free on the disk.",
            part="storage",
            pair=True,
            low=0,
        ),
        Option(
            "transforms_max_mb",
            float,
            "Continue the file of --transforms where there is one, and begin a new one (out.jsonl becomes out.1.jsonl, "
            "and so on) once it has so many MB.",
            part="storage",
            pair=True,
            above=0,
            example=100.0,
        ),
        Option(
            "transforms_keep",
            int,
            "So many older files are kept of --transforms-max-mb.",
            part="storage",
            pair=True,
            low=1,
        ),
    ),
    "Web": (
        Option(
            "web",
            str,
            "Serve a page to watch and to operate, and an HTTP interface; alone: localhost:8080 or the next free port. "
            "An address that others reach needs a token, which is made and printed if none is set.",
            part="run",
            metavar="[HOST:PORT]",
            example="localhost:8080",
            implied=AUTO,
        ),
        Option(
            "web_token",
            Path,
            "File with the token that the page asks for; else VR_WEB_TOKEN in the environment.",
            part="run",
            example="/etc/vr-live/token",
        ),
        Option(
            "web_name",
            str,
            "Name under which a reverse proxy serves the page.",
            part="run",
            metavar="NAME",
            example="cameras.example.org",
        ),
        Option(
            "web_folder",
            Path,
            "Recordings that are begun on the page go into this folder; default: vr-recordings in the current one.",
            part="run",
            example="vr-recordings",
        ),
    ),
    "Running": (
        Option(
            "config",
            Path,
            "TOML file with any of these options, for one pair or several; what is given here comes before it.",
            part="command",
        ),
        Option(
            "print_config", bool, "Print such a file, with the options given here filled in, and exit.", part="command"
        ),
        Option("frames", int, "Stop after so many frames.", low=1, example=1000),
        Option("quiet", bool, "Print nothing but errors.", part="run"),
        Option(
            "log_file",
            Path,
            "Log into this file, and go on with a new one on SIGHUP; default: warnings on stderr.",
            part="run",
            example="vr-live.log",
        ),
        Option("log_format", str, "text, or json: one object per line.", part="run", choices=("text", "json")),
        Option(
            "log_level",
            str,
            "debug, info, warning or error; default: info in a file, warning on stderr.",
            part="run",
            choices=("debug", "info", "warning", "error"),
            example="info",
        ),
        Option(
            "status_file",
            Path,
            "Write how it goes into this JSON file, once a second; vr-health FILE reads it.",
            part="run",
            example="/run/vr-live/status.json",
        ),
    ),
}
