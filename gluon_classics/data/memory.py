"""Check the memory that data needs before it is allocated."""

from __future__ import annotations

from pathlib import Path
import resource

from gluon_classics.errors import DataError

DEFLATE_RATIO = 1032  # bytes that deflate makes from one byte, at most (zlib's technical details)
_ALWAYS_FREE = 64 * 2**20  # bytes; less is not worth asking the system for


def require_memory(needed: int, what: str, remedy: str = "") -> None:
    """Raise DataError if `what`, the subject of the message, needs more bytes than are available.

    Args:
        needed: Number of bytes.
        what: The subject of the message.
        remedy: What to do, for the message.
    """
    if needed <= _ALWAYS_FREE:
        return
    available = available_memory()
    if available is not None and needed > available:
        sizes = f"{needed / 1e9:,.1f} GB of memory, but {available / 1e9:,.1f} GB are available"
        raise DataError(f"{what} needs {sizes}{remedy and f': {remedy}'}")


def available_memory(processes: int = 1) -> int | None:
    """Return the number of bytes that this process can still allocate, or None if the system does not tell.

    Args:
        processes: Number of processes that share the memory of this machine, and allocate as much.
    """
    shared = [limit // processes for limit in (_system_memory(), _group_memory()) if limit is not None]
    own = _address_space()
    return min(shared if own is None else [*shared, own], default=None)


def _system_memory():
    fields = dict(line.split(":") for line in _read("/proc/meminfo").splitlines())
    return int(fields["MemAvailable"].split()[0]) * 1024 if "MemAvailable" in fields else None


def _group_memory():
    """Return what the control group of a container leaves, without the file cache, which the kernel gives back."""
    limit, used = _read("/sys/fs/cgroup/memory.max"), _read("/sys/fs/cgroup/memory.current")
    if not limit.isdecimal() or not used.isdecimal():
        return None
    statistics = dict(line.split() for line in _read("/sys/fs/cgroup/memory.stat").splitlines())
    return max(int(limit) - int(used) + int(statistics.get("inactive_file", 0)), 0)


def _address_space():
    """Return what `ulimit -v` leaves."""
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    pages = _read("/proc/self/statm").split()
    if limit == resource.RLIM_INFINITY or not pages:
        return None
    return max(limit - int(pages[0]) * resource.getpagesize(), 0)


def _read(path):
    try:
        return Path(path).read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return ""
