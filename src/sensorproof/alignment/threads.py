"""Work on one frame shared out over threads. OpenCV and numpy let go of the interpreter while they compute."""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import Any

import cv2


def together(*tasks: Callable[[], Any]) -> list[Any]:
    """Run tasks side by side, the first in the calling thread; their results in order.

    One after the other where OpenCV is kept to one thread (`cv2.setNumThreads(1)`), as it may be where processes
    share the processor's cores.
    """
    if cv2.getNumThreads() < 2 or len(tasks) < 2:
        return [task() for task in tasks]
    running = [pool().submit(task) for task in tasks[1:]]
    first = tasks[0]()
    return [first, *(each.result() for each in running)]


@lru_cache(maxsize=1)
def pool() -> ThreadPoolExecutor:
    """Threads for all cores but the calling thread's."""
    return ThreadPoolExecutor(max(1, (os.cpu_count() or 2) - 1), thread_name_prefix="alignment")
