"""Steps of recorded scenarios: their arguments and results as bytes and numbers, and back."""

import errno
import hashlib
import json
import socket
from pathlib import Path
from typing import Any

__all__ = [
    "Outcome",
    "Step",
    "cut",
    "errno_name",
    "expected",
    "flag_names",
    "flags_of",
    "given",
    "pattern",
    "scenarios",
    "shown",
]

Step = dict[str, Any]
Outcome = dict[str, Any]

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
SHOWN = 96


def scenarios() -> list[Step]:
    """All recorded scenarios."""
    traces = Path(__file__).with_name("kernel_traces.json")
    recorded: list[Step] = json.loads(traces.read_text())["traces"]
    return recorded


def shown(data: bytes) -> str | Step:
    """Output bytes as the recording has them."""
    if len(data) <= SHOWN:
        return data.hex()
    return {
        "len": len(data),
        "head": data[:16].hex(),
        "sha256": hashlib.sha256(data).hexdigest()[:16],
    }


def given(data: str | Step) -> bytes:
    """Input bytes of a step."""
    if isinstance(data, str):
        return bytes.fromhex(data)
    if "pattern" in data:
        return pattern(data["pattern"])
    return bytes([data["fill"]] * data["n"])


def pattern(size: int) -> bytes:
    """Bytes without a short period, so that a shifted copy is seen."""
    return bytes((i * 7 + i // 251) & 255 for i in range(size))


def flags_of(step: Step) -> int:
    """The flags of a step as a number."""
    return sum(MSG[name] for name in step.get("flags", []))


def flag_names(flags: int) -> list[str]:
    """A number as the flags it holds."""
    return [name for name, bit in MSG.items() if flags & bit]


def cut(wire: bytes) -> tuple[list[Step], bytes]:
    """Records of a stream as the recording has them, and what is none."""
    records = []
    while len(wire) >= 5 and wire[1] == 3:
        size = 5 + int.from_bytes(wire[3:5], "big")
        record, wire = wire[:size], wire[size:]
        shape: Step = {"hdr": record[:5].hex(), "len": size - 5, "rec": shown(record)}
        if len(record) < size:
            shape["cut"] = len(record)
        records.append(shape)
    return records, wire


def errno_name(error: OSError) -> str:
    """The recording's name of an error."""
    if error.errno == errno.EOPNOTSUPP:
        return "EOPNOTSUPP"
    return errno.errorcode.get(error.errno or 0, str(error))


def expected(step: Step) -> Outcome:
    """The results of a step, without what only helps people to read them."""
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
