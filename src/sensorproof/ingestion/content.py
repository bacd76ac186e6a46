"""Frames by their decoded content: the same recording saved again, under other names or compressions, is the same."""

import hashlib
from pathlib import Path

from sensorproof.artifacts import CONTENT
from sensorproof.data.batch import Batch
from sensorproof.data.frame_checks import load_frame
from sensorproof.errors import SensorproofError
from sensorproof.files import read_json, write_json
from sensorproof.hashing import hash_json
from sensorproof.ingestion.file_manifest import FileManifest


def frame_contents(batch: Batch, manifest: FileManifest, cache: Path = CONTENT) -> dict[str, str]:
    """Hash what the images of each frame show.

    Args:
        batch: the batch.
        manifest: the hashes of its files.
        cache: folder of the results, one file a batch, named by the hashes of its files: a batch is decoded once.

    Returns:
        {SHA-256 over all images of a frame: its id}, for frames of at least two readable images: a single blank image
        is no proof.
    """
    path = cache / f"{hash_json(manifest)[:32]}.json"
    if path.is_file():
        try:
            return dict(read_json(path))
        except (SensorproofError, ValueError):  # damaged: hash again
            path.unlink(missing_ok=True)
    contents: dict[str, str] = {}
    for index in range(len(batch.frames)):
        frame, _ = load_frame(batch, index)
        if len(frame.images) < 2:
            continue
        digest = hashlib.sha256()
        for name, pixels in sorted(frame.images.items()):
            digest.update(f"{name} {pixels.shape}".encode())
            digest.update(pixels.tobytes())
        contents.setdefault(digest.hexdigest(), frame.frame_id)
    write_json(path, contents)
    return contents
