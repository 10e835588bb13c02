"""Become another program, tied to the life of the process that asked for it.

A script of its own, run between fork and the program (`command` gives the words): a child is tied before it does
anything, and the launcher needs no `preexec_fn`, which is unsafe beside threads.

On Linux the kernel sends the child `death_signal` when the *thread* that started it ends, so start children from the
main thread. Elsewhere the next start stops what was left over (`leftovers.py`).
"""

import ctypes
import os
import pwd
import signal
import sys
from collections.abc import Sequence
from enum import Enum
from pathlib import Path
from typing import Final, NoReturn

# Source: <linux/prctl.h> and <linux/sched.h>.
PR_SET_PDEATHSIG: Final = 1
CLONE_NEWUSER: Final = 0x10000000

NOBODY: Final = "nobody"
EXIT_CANNOT_RUN: Final = 126


class Identity(Enum):
    """As whom a program runs."""

    OWN = "own"
    NAMESPACE = "namespace"
    """Ourselves, but called nobody: in a user namespace root stops being root, and keeps its files."""
    NOBODY = NOBODY


def command(program: Sequence[str], *, death_signal: signal.Signals, identity: Identity) -> list[str]:
    """Give the words that start `program` tied to this very process."""
    words = [str(os.getpid()), str(death_signal.value), identity.value]
    return [sys.executable, "-I", "-S", __file__, *words, *program]


def main() -> NoReturn:
    """Take the identity, tie the knot, become the program."""
    parent, death_signal, identity, *program = sys.argv[1:]
    try:
        _become(Identity(identity))
        _tie(int(parent), death_signal=int(death_signal))
        os.execvp(program[0], program)  # noqa: S606 (no shell is wanted)
    except OSError as error:
        print(f"Cannot start {program[0]}: {error}", file=sys.stderr)
        sys.exit(EXIT_CANNOT_RUN)


def system_call(function: str, *arguments: int) -> None:
    """Ask the kernel for something that Python has no function for.

    Raises:
        OSError: It says no.
    """
    library = ctypes.CDLL(None, use_errno=True)
    if getattr(library, function)(*arguments) != 0:
        error = ctypes.get_errno()
        raise OSError(error, f"{function}: {os.strerror(error)}")


def _become(identity: Identity) -> None:
    match identity:
        case Identity.OWN:
            pass
        case Identity.NAMESPACE:
            _enter_namespace(pwd.getpwnam(NOBODY))
        case Identity.NOBODY:
            _drop_to(pwd.getpwnam(NOBODY))


def _enter_namespace(inside: pwd.struct_passwd) -> None:
    outside_user, outside_group = os.geteuid(), os.getegid()
    system_call("unshare", CLONE_NEWUSER)
    Path("/proc/self/setgroups").write_text("deny", encoding="ascii")
    Path("/proc/self/uid_map").write_text(f"{inside.pw_uid} {outside_user} 1", encoding="ascii")
    Path("/proc/self/gid_map").write_text(f"{inside.pw_gid} {outside_group} 1", encoding="ascii")


def _drop_to(user: pwd.struct_passwd) -> None:
    os.setgroups([])
    os.setgid(user.pw_gid)
    os.setuid(user.pw_uid)
    os.chdir("/")


def _tie(parent: int, *, death_signal: int) -> None:
    # A launcher started in the background by a script ignores SIGINT, and its children would inherit that.
    for ignored in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
        signal.signal(ignored, signal.SIG_DFL)
    if sys.platform == "linux":
        # After the change of identity, which would undo it.
        system_call("prctl", PR_SET_PDEATHSIG, death_signal)
    if os.getppid() != parent:
        sys.exit(EXIT_CANNOT_RUN)


if __name__ == "__main__":
    main()
