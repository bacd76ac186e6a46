"""Frames by their decoded content: the same recording saved again, under other names or compressions, is the same."""

from collections.abc import Mapping
from pathlib import Path

from sensorproof.alignment.frames import read_frame
from sensorproof.artifacts import CONTENT
from sensorproof.data.batch import Batch, read_batch
from sensorproof.data.content import hash_content
from sensorproof.errors import SensorproofError
from sensorproof.files import read_json, write_json
from sensorproof.hashing import hash_json
from sensorproof.ingestion.file_manifest import FileManifest
from sensorproof.parallel import count_workers, map_in_order

_TASK_FRAMES = 64


def frame_contents(batch: Batch, manifest: FileManifest, cache: Path = CONTENT, workers: int = 1) -> dict[str, str]:
    """Hash what the images of each frame show.

    Args:
        batch: the batch.
        manifest: the hashes of its files.
        cache: folder of the results, one file a batch, named by the hashes of its files: a batch is decoded once.
        workers: processes; 0 for one on each processor.

    Returns:
        {SHA-256 over all images of a frame: its id}, for frames of at least two readable images: a single blank image
        is no proof.
    """
    path = _path(manifest, cache)
    if path.is_file():
        try:
            return dict(read_json(path))
        except (SensorproofError, ValueError):  # damaged: hash again
            path.unlink(missing_ok=True)
    tasks = [(batch.root, start) for start in range(0, len(batch.frames), _TASK_FRAMES)]
    contents: dict[str, str] = {}
    for part in map_in_order(hash_frames, tasks, count_workers(workers)):
        for content, frame_id in part:
            contents.setdefault(content, frame_id)
    write_json(path, contents)
    return contents


def keep_contents(contents: Mapping[str, str], manifest: FileManifest, cache: Path = CONTENT) -> None:
    """Keep the contents of a batch that was measured, so that it is not decoded again."""
    if not _path(manifest, cache).is_file():
        write_json(_path(manifest, cache), dict(contents))


def hash_frames(task: tuple[Path, int]) -> list[tuple[str, str]]:
    """Return hash and id of some frames of a batch: its folder, and the first row."""
    batch = read_batch(task[0])
    rows = range(task[1], min(task[1] + _TASK_FRAMES, len(batch.frames)))
    found = [(hash_content(read_frame(batch, row).images), str(batch.frames.frame_id.iat[row])) for row in rows]
    return [(content, frame_id) for content, frame_id in found if content]


def _path(manifest: FileManifest, cache: Path) -> Path:
    return cache / f"{hash_json(manifest)[:32]}.json"
