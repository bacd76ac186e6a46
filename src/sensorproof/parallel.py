"""The same work on every core: tasks go to processes, and their results come back in order.

The result does not depend on the number of processes. Each uses one thread, and ends when its parent does, even if
that was killed.
"""

import multiprocessing
import os
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from sensorproof.errors import SensorproofError

if TYPE_CHECKING:
    from multiprocessing.sharedctypes import Synchronized

_Task = TypeVar("_Task")
_Result = TypeVar("_Result")
Progress = Callable[[int, int], None]
"""Is told how much is done, and of how much."""
_IN_FLIGHT = 2
"""Tasks for each process that are under way or wait: more would only take memory."""
_FEW_TASKS, _START_S = 6, 5.0
"""So few tasks are begun here, to see whether they are worth the seconds that processes take to start."""
# Forked from a server that has only imported modules: no lock and no thread of ours is copied.
_METHOD = "forkserver" if "forkserver" in multiprocessing.get_all_start_methods() else "spawn"
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")


def count_workers(wanted: int) -> int:
    """Return how many processes to use: the wanted number; for 0, one for each processor that this process may use."""
    if wanted:
        return wanted
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def map_in_order(
    function: Callable[[_Task], _Result], tasks: Sequence[_Task], workers: int, progress: Progress | None = None
) -> Iterator[_Result]:
    """Yield function(task) for every task, in order.

    Args:
        function: at the top level of a module, so that another process can import it.
        tasks: its arguments, which pickle can carry.
        workers: processes; with one, or a single task, the work is done here.
        progress: is told how many tasks are done.

    Raises:
        SensorproofError: a process was killed, such as for lack of memory.
    """
    if progress is not None:
        progress(0, len(tasks))
    remaining, done = iter(tasks), 0
    started = time.monotonic()
    while done < len(tasks) and (workers <= 1 or _are_brief(len(tasks), done, time.monotonic() - started)):
        yield function(next(remaining))
        done += 1
        if progress is not None:
            progress(done, len(tasks))
    if done == len(tasks):
        return
    with _pool(min(workers, len(tasks) - done)) as pool:
        waiting: deque[Future[_Result]] = deque()
        for _ in range(done, len(tasks)):
            while len(waiting) < _IN_FLIGHT * workers and (task := next(remaining, None)) is not None:
                with _without_main():  # a task may start a process
                    waiting.append(pool.submit(function, task))
            try:
                yield waiting.popleft().result()
            except BrokenProcessPool as error:
                fault = "a process ended before its work was done, such as for lack of memory"
                fix = "give it more memory or fewer workers (compute.workers or --workers), then repeat"
                raise SensorproofError("workers", fault, fix) from error
            done += 1
            if progress is not None:
                progress(done, len(tasks))


def _are_brief(tasks: int, done: int, seconds: float) -> bool:
    """Return whether the rest of a few tasks takes less time than processes take to start."""
    if tasks >= _FEW_TASKS:
        return False
    return done == 0 or seconds / done * (tasks - done) < _START_S


def preload(*modules: str) -> None:
    """Let processes to come find modules imported; that begins at once, while this process does other work.

    Only the first call, or the first use of processes, decides on the modules. Where the system cannot fork, nothing
    is done.
    """
    if _METHOD == "forkserver":
        from multiprocessing import forkserver

        multiprocessing.set_forkserver_preload([*modules])
        with _one_thread():
            forkserver.ensure_running()


@contextmanager
def _pool(workers: int) -> Iterator[ProcessPoolExecutor]:
    """Yield processes that have one thread each; on an error what waits is dropped."""
    context = multiprocessing.get_context(_METHOD)
    with _one_thread():
        preload("sensorproof.alignment.shards", "sensorproof.data.prepare_shards")
        pool = ProcessPoolExecutor(workers, context, _prepare_process, (context.Value("i", 0),))
        try:
            yield pool
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


@contextmanager
def _one_thread() -> Iterator[None]:
    """Let processes that start now have one thread: they read these variables when they import their libraries."""
    before = {name: os.environ.get(name) for name in _THREADS}
    os.environ.update(dict.fromkeys(_THREADS, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextmanager
def _without_main() -> Iterator[None]:
    """Let a process that is started not import the program that starts it.

    It needs none of it, and a script without `if __name__ == "__main__"` would begin again in every process.
    """
    main = sys.modules["__main__"]
    hidden: dict[str, Any] = {name: vars(main)[name] for name in ("__file__", "__spec__") if name in vars(main)}
    vars(main).pop("__file__", None)
    vars(main)["__spec__"] = None
    try:
        yield
    finally:
        vars(main).update(hidden)


def _prepare_process(started: "Synchronized[int]") -> None:
    """Use one thread and, where there are several GPUs, one of them; end with the parent.

    Args:
        started: how many processes have begun before this one.
    """
    import cv2

    with started.get_lock():
        os.environ["LOCAL_RANK"] = str(started.value)  # as torchrun tells its processes which they are
        started.value += 1
    cv2.setNumThreads(1)
    end_with_parent()


def end_with_parent() -> None:
    """Let this process end as soon as its parent does: otherwise it would wait for tasks of a killed run for ever."""
    threading.Thread(target=_await_parent, daemon=True).start()


def _await_parent() -> None:
    """Wait for the end of the parent, then end at once: a killed run must not go on writing."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


@contextmanager
def single_threaded() -> Iterator[None]:
    """Let OpenCV and BLAS use one thread: how they split their work changes last digits."""
    import cv2
    from threadpoolctl import threadpool_limits

    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        with threadpool_limits(1):
            yield
    finally:
        cv2.setNumThreads(threads)


def run_apart(function: Callable[..., _Result], *arguments: Any, limit_s: float) -> _Result:
    """Call a function in a process of its own, which is ended after a time, or when this process ends.

    Args:
        function: at the top level of a module, so that another process can import it.
        arguments: what pickle can carry.
        limit_s: seconds after which it is ended.

    Raises:
        SensorproofError: what the function raised; or it was killed, or ended after the time.
    """
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_answer, args=(sender, function, arguments))
    with _without_main():
        process.start()
    sender.close()
    try:
        if not receiver.poll(limit_s):
            fault = f"was ended after {limit_s / 3600:.3g} hours"
            raise SensorproofError("process", fault, "look what it waits for; it is tried again by the next run")
        try:
            succeeded, value = receiver.recv()
        except EOFError as error:
            fault, fix = "was killed, such as for lack of memory", "it is tried again by the next run"
            raise SensorproofError("process", fault, fix) from error
    finally:
        receiver.close()
        process.kill()
        process.join()
    if not succeeded:
        raise value
    return value


def _answer(sender: Any, function: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    """Send what a function returns or raises, and end with the parent."""
    end_with_parent()
    try:
        sender.send((True, function(*arguments)))
    except SensorproofError as error:
        sender.send((False, error))
    except OSError as error:
        where, why = error.filename or "files", error.strerror or str(error)
        sender.send((False, SensorproofError(where, why, "check the path, its permissions and the space left")))
