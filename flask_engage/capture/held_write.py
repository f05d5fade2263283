"""A write that keeps the interpreter lock.

:func:`os.write` gives the lock away and must get it back. Under threads that cost a tenth of all
requests, because a journal's frame is copied into the system's memory in 1 µs, and each of those
threads then waited behind the others to go on.
"""

from __future__ import annotations

from collections.abc import Callable


def _none(_handle: int, _data: bytes, _length: int) -> int:
    return -1


def _held() -> Callable[[int, bytes, int], int]:
    try:
        import ctypes

        write = ctypes.PyDLL(None).write
    except (ImportError, AttributeError, OSError, TypeError):
        return _none  # an interpreter without ctypes, a system whose C library has another name
    write.argtypes = (ctypes.c_int, ctypes.c_char_p, ctypes.c_size_t)
    write.restype = ctypes.c_ssize_t
    return write


held_write = _held()
"""``write(handle, data, length)`` of the C library: bytes written, or -1, and then :func:`os.write`
says why."""
