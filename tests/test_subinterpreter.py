"""The package works in the main interpreter only, and is refused elsewhere."""

import subprocess
import sys
import textwrap

import pytest

PRELUDE = """
import sys, threading
try:
    import _interpreters as interpreters
except ImportError:
    import _xxsubinterpreters as interpreters

def create():
    try:
        return interpreters.create("legacy")
    except (TypeError, ValueError):
        return interpreters.create(isolated=False)

def try_import(module):
    interpreter = create()
    code = f"import sys; sys.path[:] = {sys.path!r}\\nimport {module}"
    try:
        failed = interpreters.run_string(interpreter, code)
        text = failed and failed.formatted
    except Exception as error:
        text = str(error)
    interpreters.destroy(interpreter)
    assert text, "it was imported"
    assert "ImportError" in text and "main interpreter" in text, text

def use():
    import ktls_fast
    scanner = ktls_fast.KeyUpdateScanner()
    assert scanner.feed(22, b"\\x18\\0\\0\\1\\0") == [(0, False, None)]
"""

CASES = {
    "before-the-main-one": """
        try_import("ktls_fast")
        use()
    """,
    "after-the-main-one": """
        use()
        try_import("ktls_fast")
        use()
    """,
    "several-times-and-threads": """
        for _ in range(3):
            try_import("ktls_fast._core")
        thread = threading.Thread(target=try_import, args=["ktls_fast.selectors"])
        thread.start()
        thread.join()
        use()
    """,
    "that-is-still-there-at-the-end": """
        interpreter = create()
        code = f"import sys; sys.path[:] = {sys.path!r}\\n" \\
            "try: import ktls_fast\\nexcept ImportError: pass"
        interpreters.run_string(interpreter, code)
        use()
        interpreters.destroy(interpreter)
    """,
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_an_import_in_a_subinterpreter_is_refused_and_affects_no_other(case: str) -> None:
    pytest.importorskip("_interpreters" if sys.version_info >= (3, 13) else "_xxsubinterpreters")
    script = PRELUDE + textwrap.dedent(case)
    ran = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (ran.returncode, ran.stderr) == (0, "")
