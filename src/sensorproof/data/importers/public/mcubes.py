"""MCubeS (Liang et al., CVPR 2022): camera, angle and degree of linear polarisation, and near infrared."""

from pathlib import Path

from sensorproof.data.file_reading import ImageReading, LabelReading
from sensorproof.data.importers.public.discovery import frame_id, read_lists, require
from sensorproof.data.importers.public.layout import FoundFrame, Layout, make_info, make_sensor

TITLE, PAGE = "MCubeS", "https://github.com/kyotovision-public/multimodal-material-segmentation"
CLASSES = (
    "asphalt", "concrete", "metal", "road_marking", "fabric", "glass", "plaster", "plastic", "rubber", "sand",
    "gravel", "ceramic", "cobblestone", "brick", "grass", "wood", "leaf", "water", "human", "sky",
)  # fmt: skip
_CROP = (192, 0, 0, 0)
"""The near infrared, warped to the camera, is empty in the left 192 columns: every loader cuts them off."""


def describe(root: Path) -> Layout:
    """Describe the data set in a folder that has polL_color, list_folder and the other parts.

    Raises:
        UsageError: the folder is not the data set's.
        BatchError: a list of frames cannot be read.
    """
    require(root, ["polL_color", "list_folder"], TITLE, PAGE)
    # Files of 8 and of 16 bits are in use. The angle is used as (sin, cos, sin) by the data set's authors and peers.
    sensors = {
        "camera": make_sensor("camera", 3, (0, 1), read=ImageReading(unit_range=True, bands=(0, 1, 2), crop=_CROP)),
        "aolp": make_sensor("polarization", 3, (-1, 1), read=ImageReading(files=2, bands=(0, 1, 0), crop=_CROP)),
        "dolp": make_sensor("polarization", 1, (0, 1), read=ImageReading(crop=_CROP)),
        "nir": make_sensor("nir", 1, (0, 1), read=ImageReading(unit_range=True, bands=(0,), crop=_CROP)),
    }
    listed = read_lists(root, {split: f"list_folder/{split}.txt" for split in ("train", "val", "test")})
    return Layout(
        title=TITLE,
        page=PAGE,
        info=make_info("mcubes", CLASSES, sensors, label=LabelReading(crop=_CROP)),
        frames=tuple(
            FoundFrame(
                frame_id=frame_id(name),
                sequence=name.rpartition("_")[0] or name,
                site=name.split("_")[0],
                split=split,
                files={
                    "camera": (f"polL_color/{name}.png",),
                    "aolp": (f"polL_aolp_sin/{name}.npy", f"polL_aolp_cos/{name}.npy"),
                    "dolp": (f"polL_dolp/{name}.npy",),
                    "nir": (f"NIR_warped/{name}.png",),
                },
                label=f"GT/{name}.png",
                time_s=float(number),
            )
            for number, (split, name) in enumerate(listed)
        ),
        official={"train": 302, "val": 96, "test": 102},
    )
