"""Replay of scenarios that were recorded on a real kernel, call by call.

A step of a scenario is a call with its arguments and results. :class:`ScenarioPlayer` makes the
same call on sockets of one side and returns its results in the same form.
"""

import errno
import fcntl
import select
import socket
import struct
import termios
from contextlib import suppress
from typing import Any

from ktls_fast.constants import SOL_TLS, TCP_ULP

from .blocked import once_blocked
from .file_calls import FileCalls
from .settle import settle
from .sides import Counters, TlsEnd
from .socket_options import PLAIN_OPTIONS, TLS_OPTIONS, option_number
from .steps import (
    CallResult,
    Step,
    errno_name,
    flag_names,
    flags_of,
    input_bytes,
    output_form,
    split_records,
)

__all__ = ["ScenarioPlayer"]

POLL = {1: "IN", 2: "PRI", 4: "OUT", 8: "ERR", 0x10: "HUP", 0x2000: "RDHUP"}
POLLED = select.POLLIN | select.POLLPRI | select.POLLOUT | 0x2000
MAX_TCP_DELAY = 5.0


class ScenarioPlayer(FileCalls):
    """Two connected sockets and their counters, with the calls of scenarios."""

    def __init__(self, ends: dict[str, TlsEnd], counters: Counters) -> None:
        """Record the current counters; ``ends`` are not closed by this object."""
        super().__init__(ends)
        self._counters = counters
        self._before = counters()
        self.waited = False
        self.last_key = b""

    def play(self, step: Step) -> CallResult:
        """Make the call of ``step`` and return its results."""
        if step["op"] in PLAIN_OPTIONS:
            self.ends[step["on"]].setsockopt(*PLAIN_OPTIONS[step["op"]])
            return {"ret": 0}
        call = getattr(self, "op_" + step["op"].lower())
        try:
            outcome: CallResult = call(step)
        except OSError as error:
            return {"err": errno_name(error)}
        return outcome

    def op_setsockopt(self, step: Step) -> CallResult:
        """Attach a ULP or set a TLS option; a null value has a length."""
        end, value = self.ends[step["on"]], step["val"]
        if step["opt"] == "TCP_ULP":
            end.setsockopt(socket.IPPROTO_TCP, TCP_ULP, value.encode("latin1"))
            return {"ret": 0}
        number = option_number(step)
        if value is None:
            end.setsockopt(step["level"], number, None, step["optlen"])
        else:
            self.last_key = bytes.fromhex(value)
            end.setsockopt(step["level"], number, self.last_key)
        return {"ret": 0}

    def op_getsockopt(self, step: Step) -> CallResult:
        """Return the value of an option, and for TLS options its length."""
        end = self.ends[step["on"]]
        if step["opt"] == "TCP_ULP":
            answer = end.getsockopt(socket.IPPROTO_TCP, TCP_ULP, step["len"])
            return {"data": output_form(bytes(answer))}
        answer = bytes(end.getsockopt(step["level"], option_number(step), step["len"]))
        return {"len_out": len(answer), "data": output_form(answer)}

    def op_send(self, step: Step) -> CallResult:
        """Send data without a record type."""
        return {"ret": self.ends[step["on"]].send(input_bytes(step["data_in"]), flags_of(step))}

    def op_rawsend(self, step: Step) -> CallResult:
        """Send crafted records from an end without a key."""
        return self.op_send({**step, "flags": []})

    def op_sendmsg(self, step: Step) -> CallResult:
        """Send several buffers with control messages."""
        data, buffers = input_bytes(step["data_in"]), []
        for size in step["iov"]:
            buffers.append(data[:size])
            data = data[size:]
        control = [(level, kind, bytes.fromhex(value)) for level, kind, value in step["cmsg_in"]]
        end: Any = self.ends[step["on"]]
        arguments = [buffers, control, flags_of(step)]
        if "address" in step:
            arguments.append(tuple(step["address"]))
        return {"ret": end.sendmsg(*arguments)}

    def op_sendto(self, step: Step) -> CallResult:
        """Send to an address, which TCP ignores."""
        end: Any = self.ends[step["on"]]
        address = tuple(step["address"])
        return {"ret": end.sendto(input_bytes(step["data_in"]), flags_of(step), address)}

    def op_recv(self, step: Step) -> CallResult:
        """Receive data without control messages."""
        data = self.ends[step["on"]].recv(step["n"], flags_of(step))
        return {"ret": len(data), "data": output_form(data)}

    def op_read(self, step: Step) -> CallResult:
        """Receive as read(2) does on a non-blocking descriptor, without flags."""
        return self.op_recv({**step, "flags": ["DONTWAIT"]})

    def op_recvmsg(self, step: Step) -> CallResult:
        """Receive with control messages, into one buffer or several."""
        end, flags = self.ends[step["on"]], flags_of(step)
        if "iov" in step:
            buffers = [bytearray(size) for size in step["iov"]]
            count, control, seen, _ = end.recvmsg_into(buffers, step["anc"], flags)
            data = b"".join(buffers)[:count]
        else:
            data, control, seen, _ = end.recvmsg(step["n"], step["anc"], flags)
        messages = [[level, kind, value.hex()] for level, kind, value in control]
        return {
            "ret": len(data),
            "data": output_form(data),
            "cmsg": messages,
            "msg_flags": flag_names(seen),
        }

    def op_connect(self, step: Step) -> CallResult:
        """Connect again, although the socket is connected."""
        end = self.ends[step["on"]]
        end.connect(end.getsockname())
        return {"ret": 0}

    def op_listen(self, step: Step) -> CallResult:
        """Listen with a backlog of 1."""
        self.ends[step["on"]].listen(1)
        return {"ret": 0}

    def op_bind(self, step: Step) -> CallResult:
        """Bind to any port."""
        self.ends[step["on"]].bind(("127.0.0.1", 0))
        return {"ret": 0}

    def op_poll(self, step: Step) -> CallResult:
        """Return the events that a poll reports without waiting."""
        mask = self.ends[step["on"]].poll(POLLED, 0)
        return {"ret": "|".join(name for bit, name in POLL.items() if mask & bit) or "0"}

    def op_settle(self, step: Step) -> CallResult:
        """Wait until everything that an end has sent, or its close, has reached the peer's TCP."""
        settle(self.ends[step["on"]], self.ends["B" if step["on"] == "A" else "A"])
        return {"ret": 0}

    def op_settimeout(self, step: Step) -> CallResult:
        """Set Python's timeout."""
        self.ends[step["on"]].settimeout(step["seconds"])
        return {"ret": 0}

    def op_info(self, step: Step) -> CallResult:
        """Return the state of TLS, limited to what every kernel with sock_diag reports."""
        info = self.ends[step["on"]].info()
        names = ("version", "cipher_type", "tx_conf", "rx_conf")
        return {"ret": info and {name: getattr(info, name) for name in names}}

    def op_epoll_wait(self, step: Step) -> CallResult:
        """Return what a level-triggered epoll for EPOLLIN reports without waiting."""
        mask = self.ends[step["on"]].poll(select.POLLIN, 0)
        return {"ret": str([hex(mask)] if mask else [])}

    def op_epoll_wait_blocking(self, step: Step) -> CallResult:
        """Wait as epoll for EPOLLIN does, and install the last key meanwhile."""
        end = self.ends[step["on"]]

        def rekey() -> None:
            with suppress(OSError):  # if it fails, the poll times out, which the result shows
                end.setsockopt(SOL_TLS, TLS_OPTIONS["TLS_RX"], self.last_key)

        with once_blocked(rekey):
            mask = end.poll(select.POLLIN, 20)
        return {"ret": f"{[hex(mask)]} woken by the rekey"}

    def op_so_error(self, step: Step) -> CallResult:
        """Return the pending error of the socket, and clear it."""
        code = self.ends[step["on"]].getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        return {"ret": errno.errorcode[int(code)] if code else 0}

    def op_fionread(self, step: Step) -> CallResult:
        """Return the number of received bytes in TCP's buffer."""
        return {"ret": self._ioctl(step["on"], termios.FIONREAD)}

    def op_siocoutq(self, step: Step) -> CallResult:
        """Return the number of bytes that TCP has not sent or that are not acknowledged."""
        return {"ret": self._ioctl(step["on"], termios.TIOCOUTQ)}

    def op_shutdown(self, step: Step) -> CallResult:
        """Shut down one direction or both."""
        self.ends[step["on"]].shutdown({"RD": 0, "WR": 1, "RDWR": 2}[step["how"]])
        return {"ret": 0}

    def op_close(self, step: Step) -> CallResult:
        """Close the socket."""
        self.ends[step["on"]].close()
        return {"ret": 0}

    def op_close_with_rst(self, step: Step) -> CallResult:
        """Close the socket by a TCP reset."""
        linger = struct.pack("ii", 1, 0)
        self.ends[step["on"]].setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        return self.op_close(step)

    def op_tls_stat(self, _step: Step) -> CallResult:
        """Return the counters that have changed since the start of the scenario."""
        moved = {name: now - self._before[name] for name, now in self._counters().items()}
        return {"delta": {name: count for name, count in moved.items() if count}}

    def op_tls_stat_names(self, _step: Step) -> CallResult:
        """Return the names of the counters, in order."""
        return {"ret": " ".join(self._counters())}

    def op_mptcp_pair(self, _step: Step) -> CallResult:
        """Do nothing; the sockets were created before the scenario."""
        return {"ret": 0}

    def op_note(self, _step: Step) -> CallResult:
        """Do nothing for a remark of the recording."""
        return {}

    def op_sleep(self, _step: Step) -> CallResult:
        """Note that TCP may delay the next data; reading it then waits."""
        self.waited = True
        return {"ret": 0}

    def op_100_records_sent(self, _step: Step) -> CallResult:
        """Send 100 records of ten bytes, and wait until all have arrived."""
        for number in range(100):
            self.ends["A"].send(b"%010d" % number)
        while self._ioctl("B", termios.FIONREAD) < 100 * (10 + 22):
            select.select([self.ends["A"].fileno()], [], [], 0)
        return {"ret": 0}

    def op_wire(self, step: Step) -> CallResult:
        """Read everything that an end without a key has received, and split it into records."""
        if self.waited and step.get("records"):
            select.select([self.ends[step["on"]].fileno()], [], [], MAX_TCP_DELAY)
        wire, end = self._drain(self.ends[step["on"]])
        records, rest = split_records(wire)
        outcome: CallResult = {"ret": len(wire), "records": records}
        if rest:
            outcome["tail"] = output_form(rest)
        if end:
            outcome["end"] = end
        return outcome

    def _drain(self, end: TlsEnd) -> tuple[bytes, str | None]:
        wire = b""
        while True:
            try:
                data = end.recv(1 << 20, socket.MSG_DONTWAIT)
            except BlockingIOError:
                return wire, None
            except OSError as error:
                return wire, errno_name(error)
            if not data:
                return wire, "EOF"
            wire += data

    def _ioctl(self, name: str, request: int) -> int:
        answer = fcntl.ioctl(self.ends[name].fileno(), request, bytes(4))
        return int.from_bytes(answer, "little")
