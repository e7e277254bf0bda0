"""Transforms in the forms that other tools use, and their files.

Every form holds one and the same map, from an RGB point to its source point in the IR frame: an output point to an
input point, which is what all resamplers take. What differs is the unit:

| form | unit, origin |
| --- | --- |
| `matrix_rgb_to_ir`; OpenCV with `WARP_INVERSE_MAP` | native pixels, (x, y), 0 at the centre of the first pixel |
| `theta`; torch `affine_grid`, `align_corners=False` | -1 and +1 at the outer edges of the border pixels |
| torch, `align_corners=True` | -1 and +1 at the centres of the border pixels |
| ITK, ANTs | physical points; with spacing 1, origin 0 and direction 1 the native pixels |
"""

from vr.runtime.interchange.files import READABLE, WRITABLE, load_transform, read_transform, save_transform
from vr.runtime.interchange.forms import from_opencv, from_record, from_torch, to_opencv, to_torch
from vr.runtime.interchange.itk import ItkTransform, from_itk, to_itk
from vr.runtime.interchange.rig_transform import RigTransform
from vr.runtime.interchange.stereo import StereoCalibration

__all__ = [
    "READABLE",
    "WRITABLE",
    "ItkTransform",
    "RigTransform",
    "StereoCalibration",
    "from_itk",
    "from_opencv",
    "from_record",
    "from_torch",
    "load_transform",
    "read_transform",
    "save_transform",
    "to_itk",
    "to_opencv",
    "to_torch",
]
