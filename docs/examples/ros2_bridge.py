"""A ROS 2 node that lays infrared over colour: two image topics in, the aligned infrared image and its transform out.

    python3 ros2_bridge.py --ros-args -r ir:=/thermal/image_raw -r rgb:=/camera/image_raw -p model:=small

Subscribes to `ir` (mono8, mono16, bgr8, rgb8) and `rgb` (bgr8, rgb8), pairs them by their stamps, and publishes

- `aligned`: the IR frame on the RGB grid, bgr8, with the header of the RGB image (stamp, frame_id);
- `overlay`: the blended picture with the badge of its state, bgr8;
- `/diagnostics`: state, confidence and matrix_rgb_to_ir (row by row, native pixels) of each pair.

Nothing is published on `aligned` while the transform is refused.
"""

# ROS is not installed where this is checked.
# pyright: reportMissingImports=false

import sys
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vr.runtime import Aligner, Alignment, InputError

_LAYOUTS: dict[str, tuple[type[np.generic], int]] = {
    "mono8": (np.uint8, 1),
    "mono16": (np.uint16, 1),
    "bgr8": (np.uint8, 3),
    "rgb8": (np.uint8, 3),
}
"""By the encoding of a sensor_msgs/Image: type of a number, and channels."""


def to_frame(message: Any) -> NDArray[Any]:
    """A sensor_msgs/Image as `Aligner` takes it: (h, w) uint8 or uint16, or (h, w, 3) uint8 BGR.

    Rows may be padded (`step`), numbers of either byte order. Raises InputError for other encodings and lengths.
    """
    if message.encoding not in _LAYOUTS:
        raise InputError(f"an image is {message.encoding}; expected one of {', '.join(_LAYOUTS)}")
    kind, channels = _LAYOUTS[message.encoding]
    dtype = np.dtype(kind).newbyteorder(">" if message.is_bigendian else "<")
    row_bytes = message.width * channels * dtype.itemsize
    data = np.frombuffer(message.data, np.uint8)
    if message.step < row_bytes or data.size != message.height * message.step:
        raise InputError(f"an image of {message.width}x{message.height} {message.encoding} has {data.size} bytes")
    rows = data.reshape(message.height, message.step)[:, :row_bytes]
    frame = np.ascontiguousarray(rows).view(dtype).astype(kind, copy=False)
    if channels == 1:
        return frame
    bgr = frame.reshape(message.height, message.width, channels)
    return np.ascontiguousarray(bgr[..., ::-1]) if message.encoding == "rgb8" else bgr


def fill_image(message: Any, frame: NDArray[Any], header: Any) -> Any:
    """Fills a sensor_msgs/Image from (h, w) uint8 or uint16, or (h, w, 3) uint8 BGR, and returns it."""
    message.header, (message.height, message.width) = header, frame.shape[:2]
    message.encoding = "bgr8" if frame.ndim == 3 else "mono16" if frame.dtype == np.uint16 else "mono8"
    message.step, message.is_bigendian = frame.strides[0], 0
    if not frame.flags.c_contiguous:
        raise ValueError("the frame's rows do not lie one behind the other")
    message.data = frame.astype(frame.dtype.newbyteorder("<"), copy=False).tobytes()
    return message


def stamp_s(message: Any) -> float:
    """Of a message with a header, seconds."""
    return message.header.stamp.sec + message.header.stamp.nanosec * 1e-9


def facts(alignment: Alignment) -> dict[str, str]:
    """What is said about a pair in the diagnostics."""
    matrix = alignment.matrix_rgb_to_ir
    return {
        "state": alignment.state,
        "confidence": "" if alignment.confidence is None else f"{alignment.confidence:.3f}",
        "matrix_rgb_to_ir": "" if matrix is None else " ".join(f"{number:.9g}" for number in matrix.ravel()),
    }


def main() -> None:
    """Runs until ROS shuts down."""
    import rclpy
    from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
    from message_filters import ApproximateTimeSynchronizer, Subscriber
    from rclpy.node import Node
    from rclpy.qos import qos_profile_sensor_data
    from sensor_msgs.msg import Image

    class Bridge(Node):
        def __init__(self) -> None:
            super().__init__("vr_registration")
            model, rig, slop_s = (
                self.declare_parameter(name, value).value
                for name, value in (("model", "default"), ("rig", "fixed"), ("slop_s", 0.05))
            )
            self.aligner = Aligner.load(model, rig=rig)
            self.aligned = self.create_publisher(Image, "aligned", qos_profile_sensor_data)
            self.overlay = self.create_publisher(Image, "overlay", qos_profile_sensor_data)
            self.diagnostics = self.create_publisher(DiagnosticArray, "/diagnostics", 10)
            topics = [Subscriber(self, Image, name, qos_profile=qos_profile_sensor_data) for name in ("ir", "rgb")]
            # A queue of 2: an aligner that is slower than the cameras gets the newest pair, not an old one.
            self.pairs = ApproximateTimeSynchronizer(topics, queue_size=2, slop=slop_s)
            self.pairs.registerCallback(self.take)

        def take(self, ir: Any, rgb: Any) -> None:
            try:
                rgb_frame = to_frame(rgb)
                now = self.aligner(to_frame(ir), rgb_frame, time_s=stamp_s(rgb))
            except InputError as error:
                self.get_logger().error(str(error), throttle_duration_sec=5.0)
                return
            if now.moved is not None:
                self.aligned.publish(fill_image(Image(), now.moved, rgb.header))
            self.overlay.publish(fill_image(Image(), now.overlay(rgb_frame), rgb.header))
            self.diagnostics.publish(self.told(now, rgb.header))

        def told(self, now: Alignment, header: Any) -> Any:
            level = DiagnosticStatus.WARN if now.state == "refused" else DiagnosticStatus.OK
            values = [KeyValue(key=key, value=value) for key, value in facts(now).items()]
            one = DiagnosticStatus(level=level, name="vr_registration", message=now.state, values=values)
            return DiagnosticArray(header=header, status=[one])

    rclpy.init(args=sys.argv)
    node = Bridge()
    try:
        rclpy.spin(node)
    except KeyboardInterrupt:
        pass
    finally:
        node.destroy_node()
        rclpy.try_shutdown()


if __name__ == "__main__":
    main()
