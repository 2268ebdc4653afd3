"""AEADs without Python: small programs that read commands from their standard input.

There are three commands, and data is in hex. ``job OP CIPHER SIZE RECORDS KEY IV AAD`` is followed
by a line with the input of all records, and answered by ``ready``. ``run`` performs a round, and is
answered by its nanoseconds by the program's own clock. ``show`` is answered by the output of the
last round. To seal, the input is the inner plaintexts, and the output is ciphertexts with tags. To
open, it is the reverse.
"""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING, Final

from benches.records.work import ROOT, cut, unwire
from tests.reference import HEADER_SIZE, TAG_SIZE

if TYPE_CHECKING:
    from pathlib import Path

    from benches.records.work import RecordJob

AWS_LC: Final = ROOT / "target" / "release" / "examples" / "raw_aead"
IPSEC_MB: Final = ROOT / "target" / "benches" / "ipsec_mb"
PATIENCE: Final = 60.0


class AeadProgram:
    """A running program that answers commands."""

    def __init__(self, path: Path) -> None:
        self._process = subprocess.Popen(
            (path,), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )

    def ask(self, line: str) -> str:
        """Send a command, and return the answer."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        assert answer, f"{self._process.args!r} ended at {line[:80]!r}"
        return answer.rstrip("\n")

    def close(self) -> None:
        """End the program."""
        self._process.communicate(timeout=PATIENCE)


class AeadProgramWork:
    """A job that a program performs."""

    def __init__(self, job: RecordJob, path: Path) -> None:
        self._job = job
        self._program = AeadProgram(path)
        self._nanoseconds = 0
        key = job.key
        self._header = job.wire[:HEADER_SIZE]
        words = (job.op, job.cipher.name, str(job.size + 1), str(job.records), key.key.hex())
        iv = (key.salt + key.iv).hex()
        line = " ".join(("job", *words, iv, self._header.hex()))
        answer = self._program.ask(f"{line}\n{self._input().hex()}")
        assert answer == "ready", f"{path.name} answers {answer!r} to {line!r}"

    def reset(self) -> None:
        pass

    def run(self) -> None:
        self._nanoseconds += int(self._program.ask("run"))

    def now(self) -> float:
        """Return the seconds of all rounds, by the program's clock."""
        return self._nanoseconds / 1e9

    def close(self) -> None:
        self._program.close()

    def plaintext(self) -> bytes:
        shown = bytes.fromhex(self._program.ask("show"))
        if self._job.op == "open":
            return b"".join(inner[:-1] for inner in cut(shown, self._job.size + 1))
        bodies = cut(shown, self._job.size + 1 + TAG_SIZE)
        wire = b"".join(self._header + bytes(body) for body in bodies)
        return unwire(self._job.key, wire, self._job.size)

    def _input(self) -> bytes:
        if self._job.op == "seal":
            return b"".join(bytes(piece) + b"\x17" for piece in self._job.pieces())
        records = cut(self._job.wire, HEADER_SIZE + self._job.size + 1 + TAG_SIZE)
        return b"".join(record[HEADER_SIZE:] for record in records)


def why_missing(path: Path) -> str:
    """Return the reason for the table, or an empty string if the program is built."""
    if path.exists():
        return ""
    needs = " (Debian: apt install libipsec-mb-dev)" if path == IPSEC_MB else ""
    return f"not built: run make bench-programs{needs}"
