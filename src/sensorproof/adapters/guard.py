"""Run a command that ends when the process that started it does, even if that was killed, and all its children with it.

This file is run as a script, and imports nothing but the standard library: it starts in hundredths of a second. Its
standard input is a pipe that the starting process holds open; the system closes it when that process ends, however.
"""

import os
import signal
import subprocess
import sys
import threading


def main() -> int:
    """Run the command of the arguments and return its exit code, 128 and more for a signal."""
    signal.signal(signal.SIGTERM, lambda *_: None)  # it goes to the whole group; the command answers it
    threading.Thread(target=_end_with_starter, daemon=True).start()
    code = subprocess.call(sys.argv[1:], stdin=subprocess.DEVNULL)
    return code if code >= 0 else 128 - code


def _end_with_starter() -> None:
    """Wait until nobody holds the other end, then kill the process group, this process included."""
    while os.read(sys.stdin.fileno(), 1):
        pass
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(main())
