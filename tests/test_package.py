"""The package as a whole: its names, its imports, and the modules that an import loads."""

import ast
import importlib
import importlib.metadata
import re
import subprocess
import sys
from pathlib import Path

import pytest

import ktls_fast
import ktls_fast.errors
import ktls_fast.selectors
import ktls_fast.simulate
from ktls_fast import _core

KEY_UPDATES = [ktls_fast.key_update_message(request=request) for request in (False, True)]
ROOT = Path(__file__).parents[1]
PACKAGE = Path(ktls_fast.__file__).parent
PUBLIC_MODULES = {"anyio", "asyncio", "constants", "errors", "selectors", "simulate", "ssl"}

PUBLIC_NAMES = {
    *("Sealer", "Opener", "SealedBatch", "OpenedBatch", "TrafficSecret", "CryptoInfo", "Suite"),
    *("CipherType", "ContentType", "Version", "KeyUpdateScanner", "KeyUpdateFound"),
    *("key_update_message", "scan_key_updates"),
    *("KtlsConnection", "KtlsKeys", "ExportedConnection"),
    *("KtlsSocket", "KernelSocket", "ktls_socket", "OffloadQueue", "QueueStats", "Namespace"),
    *("TlsInfo", "TlsConf", "tls_stat"),
    *("SOL_TLS", "TCP_ULP", "TLS_GET_RECORD_TYPE", "TLS_RX", "TLS_RX_EXPECT_NO_PAD"),
    *("TLS_SET_RECORD_TYPE", "TLS_TX", "TLS_TX_MAX_PAYLOAD_LEN", "TLS_TX_ZEROCOPY_RO"),
    *("Connection", "ServerConfig", "ServerIdentity", "ClientConfig", "connect", "accept"),
    *("TLSObject", "derive_tls12_keys", "from_ssl", "prepare"),
    *("RekeyPolicy", "StormPolicy", "Relay", "RelayHandle", "ControlRecord"),
    *("aead_in_use", "cpu_features", "get_include", "__version__"),
    *ktls_fast.errors.__all__,
}

OLD_NAMES = {
    "backends": "_backends",
    "kernel_socket": "_kernel_socket",
    "kernel_tls": "_kernel_tls",
    "quoted": "_messages",
    "sock_diag": "_sock_diag",
    "certs": "_tools.certs",
    "cli.values": "_tools.cli.values",
    "conformance.blocked": "_tools.conformance.blocked",
    "demo.plan": "_tools.demo.plan",
    "proxy.failure": "_tools.failure",
    "proxy.options": "_tools.proxy.options",
    "proxy.writer": "_tools.proxy.journal",
    "simulate.scenario": "_tools.simulate.scenario",
}


def in_a_new_process(code: str) -> str:
    """Run code in a new interpreter with warnings as errors, and return what it prints."""
    command = [sys.executable, "-W", "error", "-c", code]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout


def test_the_public_names_are_these() -> None:
    assert set(ktls_fast.__all__) == PUBLIC_NAMES
    assert len(ktls_fast.__all__) == len(PUBLIC_NAMES)


def test_each_public_name_exists() -> None:
    for name in ktls_fast.__all__:
        assert getattr(ktls_fast, name) is not None, name
    assert set(ktls_fast.__all__) <= set(dir(ktls_fast))


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="'ktls_fast' has no attribute 'Sealed'"):
        ktls_fast.Sealed  # type: ignore[attr-defined]  # noqa: B018


def test_every_module_that_is_not_api_has_a_private_name() -> None:
    modules = {path.stem for path in PACKAGE.iterdir() if path.suffix in (".py", ".pyi")}
    packages = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    public = {name for name in modules | packages if not name.startswith("_")}
    assert public == PUBLIC_MODULES


def test_the_version_is_that_of_the_distribution() -> None:
    assert ktls_fast.__version__ == importlib.metadata.version("ktls_fast")


def test_cython_finds_the_capsules() -> None:
    assert ktls_fast.__pyx_capi__ is _core.__pyx_capi__
    assert {"sealer_new", "seal_batch", "last_error"} <= ktls_fast.__pyx_capi__.keys()
    assert "__pyx_capi__" not in ktls_fast.__all__


@pytest.mark.parametrize("old", OLD_NAMES)
def test_an_old_module_name_warns_and_is_the_module(old: str) -> None:
    code = (
        "import importlib, warnings\n"
        "with warnings.catch_warnings(record=True) as warned:\n"
        "    warnings.simplefilter('always')\n"
        f"    old = importlib.import_module('ktls_fast.{old}')\n"
        f"new = importlib.import_module('ktls_fast.{OLD_NAMES[old]}')\n"
        f"print(old is new, new.__spec__.name == new.__name__ == 'ktls_fast.{OLD_NAMES[old]}')\n"
        "print({warning.category.__name__ for warning in warned})\n"
        f"print(any('ktls_fast.{old} ' in str(warning.message) for warning in warned))\n"
    )
    assert in_a_new_process(code) == "True True\n{'DeprecationWarning'}\nTrue\n"


def test_a_warning_of_an_old_name_points_at_the_import() -> None:
    with pytest.warns(DeprecationWarning, match=r"ktls_fast\.sock_diag is not part") as warned:
        from ktls_fast import sock_diag  # type: ignore[attr-defined]
    assert sock_diag is importlib.import_module("ktls_fast._sock_diag")
    assert [warning.filename for warning in warned] == [__file__]
    del sys.modules["ktls_fast.sock_diag"]
    del ktls_fast.sock_diag  # type: ignore[attr-defined]


def test_a_package_that_is_loaded_again_finds_old_names_once() -> None:
    code = (
        "import importlib, sys, ktls_fast\n"
        "before = len(sys.meta_path)\n"
        "importlib.reload(ktls_fast)\n"
        "print(len(sys.meta_path) - before)\n"
    )
    assert in_a_new_process(code) == "0\n"


@pytest.mark.filterwarnings("ignore:ktls_fast.proxy is:DeprecationWarning")
@pytest.mark.parametrize("name", ["nothing", "proxy.nothing", "simulate.nothing", "kernel_tl"])
def test_an_unknown_module_is_not_found(name: str) -> None:
    with pytest.raises(ModuleNotFoundError, match=f"ktls_fast.*{name.rpartition('.')[2]}"):
        importlib.import_module(f"ktls_fast.{name}")


def test_the_package_runs_as_the_command() -> None:
    command = [sys.executable, "-W", "error", "-m", "ktls_fast", "--help"]
    text = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout
    assert text.startswith("usage: ktls-fast [-h]")


def test_the_old_module_still_runs_as_the_command() -> None:
    command = [sys.executable, "-m", "ktls_fast.cli", "--version"]
    text = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout
    assert text == f"ktls-fast {ktls_fast.__version__}\n"


def spelled_by_hand(node: ast.AST) -> bool:
    """Return True for a KeyUpdate written as bytes, as hexadecimal digits or as numbers."""
    match node:
        case ast.Constant(value=bytes(data)):
            return any(message in data for message in KEY_UPDATES)
        case ast.Constant(value=str(text)):
            return text.lower() in {message.hex() for message in KEY_UPDATES}
        case ast.List(elts=items) | ast.Tuple(elts=items):
            values = [item.value for item in items if isinstance(item, ast.Constant)]
            return values in [list(message) for message in KEY_UPDATES]
    return False


@pytest.mark.parametrize("spelling", [r"b'\x18\0\0\1\0'", r"b'\4\x18\0\0\1\1'", "[24, 0, 0, 1, 0]"])
def test_a_hand_written_key_update_is_found(spelling: str) -> None:
    assert any(map(spelled_by_hand, ast.walk(ast.parse(spelling))))


def test_no_file_contains_a_hand_written_key_update() -> None:
    for folder in ("python", "tests", "benches"):
        for path in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                assert not spelled_by_hand(node), f"{path}:{getattr(node, 'lineno', 0)}"
    for block in re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL):
        assert not any(map(spelled_by_hand, ast.walk(ast.parse(block))))


def loaded_by(modules: str) -> set[str]:
    """Return the names of all modules that are loaded after an import."""
    code = f"import sys, {modules}\nprint(*sys.modules)"
    return set(in_a_new_process(code).split())


def test_the_import_loads_no_slow_module() -> None:
    """`python -m benches.import_time` shows the time."""
    costly = {
        *("argparse", "asyncio", "concurrent", "ctypes", "dataclasses", "email", "importlib.util"),
        *("importlib.metadata", "inspect", "ipaddress", "json", "logging", "multiprocessing"),
        *("pathlib", "selectors", "socket", "ssl", "subprocess", "tempfile", "threading"),
        *("urllib", "cryptography", "matplotlib", "numpy", "rich", "typing_extensions"),
    }
    loaded = loaded_by("ktls_fast") - loaded_by("typing")
    assert "ktls_fast._core" in loaded
    assert loaded & costly == set()


def test_the_import_loads_little_of_the_package() -> None:
    assert {name for name in loaded_by("ktls_fast") if name.startswith("ktls_fast.")} == {
        *("ktls_fast._backends", "ktls_fast._core", "ktls_fast._lazy", "ktls_fast._messages"),
        *("ktls_fast._moved", "ktls_fast._worker_exit"),
        *("ktls_fast.constants", "ktls_fast.errors"),
    }


def test_no_module_of_the_library_imports_a_tool() -> None:
    code = (
        "import sys, ktls_fast, ktls_fast.selectors, ktls_fast.errors, ktls_fast.constants\n"
        "ktls_fast.KernelSocket\n"
        "print([name for name in sys.modules if name.startswith('ktls_fast._tools')])\n"
    )
    assert in_a_new_process(code) == "[]\n"
