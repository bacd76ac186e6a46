"""Start the processes of one training on this machine by torchrun, and end as they do."""

import logging
import os
import sys
import threading
import time
from signal import SIG_DFL, SIGINT, signal

from sensorproof.errors import SensorproofError

_POLL_S = 0.5


def start_processes(count: int) -> None:
    """Begin this program again in several processes, and exit with their code; do nothing for one, or in them.

    Those processes end if torchrun, which started them, is killed: two trainings would write the same checkpoint.

    Args:
        count: processes; the program then runs with the arguments that it was given.

    Raises:
        SensorproofError: one of them was killed.
    """
    if "WORLD_SIZE" in os.environ:
        signal(SIGINT, SIG_DFL)  # end in silence: the program that started them says that it was interrupted
        threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()
    elif count > 1:
        sys.stdout.flush()
        raise SystemExit(_run_torchrun(["--standalone", f"--nproc-per-node={count}", *sys.argv]))


def _run_torchrun(arguments: list[str]) -> int:
    """Return the exit code of the first process that failed, which has said why; 0 if none did."""
    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.run import main

    logging.disable(logging.ERROR)  # a page about an error of one line
    try:
        main(arguments)
    except ChildFailedError as error:
        rank, failure = error.get_first_failure()
        if failure.exitcode > 0:
            return int(failure.exitcode)
        fault = f"process {rank} was killed by {failure.signal_name()}, such as for lack of memory"
        raise SensorproofError("training", fault, "run the same command again: it goes on where it was") from error
    except SignalException as error:
        if error.sigval == SIGINT:
            raise KeyboardInterrupt from error
        return 128 + int(error.sigval)
    return 0


def _end_with(parent: int) -> None:
    """End this process soon after its parent, however that ends."""
    while os.getppid() == parent:
        time.sleep(_POLL_S)
    os._exit(1)
