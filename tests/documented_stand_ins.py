"""How the commands of the pages are run by tests: what stands in for cameras and long trainings, what cannot be run."""

from tests.helpers import REPOSITORY

SLOW = (
    r"^vr-train (affine|segmenter|evaluate|fit|match|prepare .*(--masks|--weights))",
    r"^torchrun ",
    r"^vr-export ",
)
"""Commands that need PyTorch, and so several seconds."""

STAND_INS = (
    (r"^make ", f"make -n -C {REPOSITORY} "),  # CI runs them; here, that there is such a target
    (r"/opt/vr-registration/bin/(?=vr-)", ""),
    (r"/etc/vr-live/", ""),
    (r"--ir [0-9]\b", "--ir sim:"),
    (r"--rgb [0-9]\b", "--rgb sim:"),
    (r'(?m)^(ir|rgb) = "[0-9]"', r'\1 = "sim:"'),
    (r"rtsp://\S+/(ir|rgb)", "sim:"),
    (r"--web 0\.0\.0\.0:8080", "--web 0.0.0.0:0"),  # the port may be taken
    (r"--frames 300\b", "--frames 3"),
    (r"^(vr-live (?!doctor|calibrate)(?!.*(--print-config|--frames|--version)).*)$", r"\1 --frames 3"),
    (r"^(vr-live doctor.*)$", r"\1 --quick --seconds 0.5"),
    (r"^(vr-live calibrate.*)$", r"\1 --seconds 2 --yes --out new.toml"),
    (r"^(vr-live .*--web \S+):8080", r"\1:0"),
    (r"^curl -N (.*)$", r"curl -N \1 | head -n 1"),  # events come for ever
    (r"^curl ", "curl -fsS "),
    (r"localhost:8080", "$SERVED"),
    (r"--ir-16bit --ir-celsius tlinear ", ""),  # the generated infrared is 8 bit; tests/test_live_thermal.py has both
    (r"\bDIR \.\.\.", "DIR"),
    (r"^(vr-train prepare .*--out) DIR", r"\1 prepared"),
    (
        r"^(vr-train prepare --pair \S+\.mp4 (?!.*--offset-ms).*)$",
        r"\1 --offset-ms 0",
    ),  # it is too short
    (r"^(vr-train prepare .*)$", r"\1 --guard-s 0 --no-plausible"),
    (r"--part test ", "--part all "),  # DIR has no manifest
    (r"--workers 4\b", "--workers 1"),
    (r"^(vr-train (affine|segmenter) .*)$", r"\1 --epochs 1 --batch 4 --limit 8"),
    (r"^(vr-train affine (?!.*--out).*)$", r"\1 --out runs/new"),
    (r"^(vr-train segmenter .*)$", r"\1 --size 48x64"),
    (r"^torchrun (.*) --batch 40$", r"torchrun \1 --batch 4 --epochs 1 --limit 8 --out runs/new"),
    (r"^(vr-train fit .*)$", r"\1 --steps 3 --size 60x80"),
)
"""Pattern and what is put in its place, in this order."""

NOT_RUN = (
    (r"^(\S*pip install|python3 -m venv) ", "installs; the names of the extras are checked"),
    (
        r"^(apt-get|install|cp|systemctl|systemd-analyze|journalctl) ",
        "needs root; tests/test_deploy.py has the service",
    ),
    (r"^(source /opt/ros/|ros-env/)", "needs ROS; tests/test_docs_ros2.py has what does not"),
    (r"^vr-health ", "needs a running service; tests/test_live_status.py has one"),
    (r"^ssh ", "needs another machine"),
    (r"^docker ", "needs Docker and a GPU"),
    (r"--provider (cuda|tensorrt)|--build-engine", "needs a GPU"),
    (
        r"^vr-train match (?!.*--finetune)|^vr-train dense ",
        "takes an hour; tests/test_train_match.py does less",
    ),
)
"""Pattern of commands that are not run, and why; of those of this package the options are checked."""

PYTHON_NOT_RUN = {
    "docs/fleet.md": "needs tritonclient and a server",
    "docs/library.md": "tests/test_docs_library.py runs it, in one process",
    "docs/interchange.md": "tests/test_docs_library.py runs it, in one process",
}
"""Pages whose Python is compiled only."""
