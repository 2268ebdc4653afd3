"""Conversion of the arguments and results of recorded steps to bytes and numbers, and back."""

import errno
import hashlib
import json
import socket
from pathlib import Path
from typing import Any

__all__ = [
    "CallResult",
    "Step",
    "errno_name",
    "expected",
    "flag_names",
    "flags_of",
    "input_bytes",
    "output_form",
    "pattern",
    "scenarios",
    "split_records",
]

Step = dict[str, Any]
CallResult = dict[str, Any]

MSG = {
    "PEEK": socket.MSG_PEEK,
    "DONTROUTE": socket.MSG_DONTROUTE,
    "TRUNC": socket.MSG_TRUNC,
    "DONTWAIT": socket.MSG_DONTWAIT,
    "EOR": socket.MSG_EOR,
    "WAITALL": socket.MSG_WAITALL,
    "CONFIRM": 0x800,
    "ERRQUEUE": 0x2000,
    "MORE": socket.MSG_MORE,
    "OOB": socket.MSG_OOB,
    "CTRUNC": socket.MSG_CTRUNC,
    "ZEROCOPY": 0x4000000,
    "FASTOPEN": 0x20000000,
}
MAX_HEX_BYTES = 96


def scenarios() -> list[Step]:
    """Return all recorded scenarios."""
    traces = Path(__file__).with_name("kernel_traces.json")
    recorded: list[Step] = json.loads(traces.read_text())["traces"]
    return recorded


def output_form(data: bytes) -> str | Step:
    """Return output data in the form of the recording: in hex, or long data as a digest."""
    if len(data) <= MAX_HEX_BYTES:
        return data.hex()
    return {
        "len": len(data),
        "head": data[:16].hex(),
        "sha256": hashlib.sha256(data).hexdigest()[:16],
    }


def input_bytes(data: str | Step) -> bytes:
    """Return the input data of a step as bytes."""
    if isinstance(data, str):
        return bytes.fromhex(data)
    if "pattern" in data:
        return pattern(data["pattern"])
    return bytes([data["fill"]] * data["n"])


def pattern(size: int) -> bytes:
    """Return bytes without a short period, so that a shifted copy differs."""
    return bytes((i * 7 + i // 251) & 255 for i in range(size))


def flags_of(step: Step) -> int:
    """Return the flags of a step as a number."""
    return sum(MSG[name] for name in step.get("flags", []))


def flag_names(flags: int) -> list[str]:
    """Return the names of the flags in a number."""
    return [name for name, bit in MSG.items() if flags & bit]


def split_records(wire: bytes) -> tuple[list[Step], bytes]:
    """Split a stream into records in the form of the recording; return them and the rest."""
    records = []
    while len(wire) >= 5 and wire[1] == 3:
        size = 5 + int.from_bytes(wire[3:5], "big")
        record, wire = wire[:size], wire[size:]
        shape: Step = {"hdr": record[:5].hex(), "len": size - 5, "rec": output_form(record)}
        if len(record) < size:
            shape["cut"] = len(record)
        records.append(shape)
    return records, wire


def errno_name(error: OSError) -> str:
    """Return the name of an error in the form of the recording."""
    if error.errno == errno.EOPNOTSUPP:
        return "EOPNOTSUPP"
    return errno.errorcode.get(error.errno or 0, str(error))


def expected(step: Step) -> CallResult:
    """Return the results of a step, without remarks for readers."""
    results = {key: step[key] for key in RESULTS if key in step}
    if "records" in results:
        results["records"] = [
            {key: record[key] for key in ("hdr", "len", "rec", "cut") if key in record}
            for record in results["records"]
        ]
    if "msg_flags" in results:
        results["msg_flags"] = [name for name in MSG if name in results["msg_flags"]]
    return results


RESULTS = ("ret", "err", "data", "len_out", "cmsg", "msg_flags", "records", "tail", "end", "delta")
