"""The calls of a scenario that transfer data between a socket and a pipe or a file."""

import fcntl
import os
from tempfile import TemporaryFile

from .sides import TlsEnd
from .steps import CallResult, Step, input_bytes, pattern

__all__ = ["FileCalls"]

SPLICE_F_NONBLOCK, SPLICE_F_MORE = 2, 4


class FileCalls:
    """Sockets by name and a pipe, with the calls that transfer data between them."""

    def __init__(self, ends: dict[str, TlsEnd]) -> None:
        """Create the pipe; ``ends`` are not closed by this object."""
        self.ends = ends
        self.pipe = os.pipe()

    def close(self) -> None:
        """Close the pipe."""
        for fd in self.pipe:
            os.close(fd)

    def op_splice_to_pipe(self, step: Step) -> CallResult:
        """Splice from a socket into the pipe, without waiting."""
        return {"ret": self.ends[step["on"]].splice_to(self.pipe[1], step["n"], SPLICE_F_NONBLOCK)}

    def op_pipe_read(self, _step: Step) -> CallResult:
        """Read from the pipe."""
        return {"data": os.read(self.pipe[0], 100).decode(errors="replace")}

    def op_splice_loop(self, step: Step) -> CallResult:
        """Splice a full record through a pipe of one page."""
        fcntl.fcntl(self.pipe[1], fcntl.F_SETPIPE_SZ, 4096)
        got = b""
        while len(got) < 16384:
            self.ends[step["on"]].splice_to(self.pipe[1], 16384 - len(got), SPLICE_F_NONBLOCK)
            got += os.read(self.pipe[0], 16384)
        return {"ret": len(got), "right": got == pattern(16384)}

    def op_splice(self, step: Step) -> CallResult:
        """Splice from the pipe into a socket."""
        more = "SPLICE_F_MORE" in step.get("flags", [])
        os.write(self.pipe[1], b"pipe2" if more else b"pipe1")
        flags = SPLICE_F_MORE if more else 0
        return {"ret": self.ends[step["on"]].splice_from(self.pipe[0], step["n"], flags)}

    def op_sendfile(self, step: Step) -> CallResult:
        """Send a file that contains the pattern."""
        with TemporaryFile() as file:
            file.write(pattern(step["n"]))
            file.flush()
            return {"ret": self.ends[step["on"]].sendfile(file, 0, step["n"])}

    def op_sendfile_pipe(self, step: Step) -> CallResult:
        """Send the contents of a pipe up to its end."""
        reading, writing = os.pipe()
        os.write(writing, input_bytes(step["data_in"]))
        os.close(writing)
        with os.fdopen(reading, "rb") as file:
            return {"ret": self.ends[step["on"]].sendfile(file)}
