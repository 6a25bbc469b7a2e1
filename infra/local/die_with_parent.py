"""Run a command that ends when the process that asked for it ends, even by `kill -9`.

    python -I -S die_with_parent.py PARENT_PID GUARD_FD COMMAND [ARGUMENT ...]

GUARD_FD -1 (Linux): ask the kernel to kill us when our parent dies, then become the command: same process id, no
cost afterwards. The kernel watches the parent *thread* that forked, which is why `spawn` forks from one lasting thread.
Any other GUARD_FD: the reading end of a pipe whose writing end only the parent holds. We stay, run the command as
our child, pass signals on, and kill it when the pipe closes. For systems without that kernel feature.

Standard library only and no import of ours: it runs isolated, so that starting it takes a few milliseconds.
"""

from __future__ import annotations

import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def _become(parent: int, command: list[str]) -> None:
    import ctypes

    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0) != 0:
        sys.exit(f"prctl failed: {os.strerror(ctypes.get_errno())}")
    if os.getppid() != parent:  # it died before the kernel was asked
        sys.exit(1)
    # Python ignores SIGPIPE, and what is ignored stays ignored across exec.
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    os.execvp(command[0], command)  # noqa: S606 - the command is the caller's own


def _guard(pipe: int, command: list[str]) -> None:
    import subprocess
    import threading

    os.set_inheritable(pipe, False)
    child = subprocess.Popen(command, close_fds=False)  # noqa: S603 - the command is the caller's own
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda received, _frame: child.send_signal(received))

    def kill_when_parent_is_gone() -> None:
        while os.read(pipe, 1):
            pass
        child.kill()

    threading.Thread(target=kill_when_parent_is_gone, daemon=True).start()
    code = child.wait()
    if code < 0:  # end the way the command ended, so that the caller sees the same signal
        signal.signal(-code, signal.SIG_DFL) if -code not in (signal.SIGKILL, signal.SIGSTOP) else None
        os.kill(os.getpid(), -code)
    sys.exit(code)


def main(arguments: list[str]) -> None:
    """Never returns: it becomes the command, or ends with the command's exit status."""
    parent, pipe, command = int(arguments[0]), int(arguments[1]), arguments[2:]
    try:
        if pipe < 0:
            _become(parent, command)
        else:
            _guard(pipe, command)
    except OSError as error:
        sys.stderr.write(f"cannot run {command[0]}: {error.strerror}\n")
        sys.exit(127)


if __name__ == "__main__":
    main(sys.argv[1:])
