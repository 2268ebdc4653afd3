"""The command line: messages for misuse and failures, and the commands stat and doctor."""

import json
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest

import ktls_fast
from ktls_fast._tools.cli import main
from ktls_fast._tools.proxy import format_counters

PROXY = ("proxy", "--listen", "127.0.0.1:0", "--connect", "127.0.0.1:1")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ((), "ktls-fast: the following arguments are required: COMMAND; see ktls-fast --help"),
        (
            ("proxy", "--connect", "a:1"),
            "ktls-fast proxy: the following arguments are required: --listen;"
            " see ktls-fast proxy --help",
        ),
        (
            (*PROXY, "--rekey-every", "lots"),
            "ktls-fast proxy: argument --rekey-every: 'lots' is not a number of bytes,"
            " e.g. 65536, 512KiB, 1MiB or 1GB; see ktls-fast proxy --help",
        ),
        (
            (*PROXY, "--key-update-limit", "0/1"),
            "ktls-fast proxy: argument --key-update-limit: '0' is not a positive number;"
            " see ktls-fast proxy --help",
        ),
        (
            (*PROXY, "--rekey-interval", "-1"),
            "ktls-fast proxy: argument --rekey-interval: '-1' is not a number of seconds,"
            " e.g. 10 or 0.5; see ktls-fast proxy --help",
        ),
        (
            (*PROXY, "--rekey-seconds", "0.0"),
            "ktls-fast proxy: argument --rekey-seconds: '0.0' is not more than 0 seconds;"
            " see ktls-fast proxy --help",
        ),
        (
            (*PROXY, "--workers", "0"),
            "ktls-fast proxy: argument --workers: '0' is not a positive number;"
            " see ktls-fast proxy --help",
        ),
        (
            (*PROXY, "--drain", "soon"),
            "ktls-fast proxy: argument --drain: 'soon' is not a number of seconds,"
            " e.g. 10 or 0.5; see ktls-fast proxy --help",
        ),
        (
            (*PROXY, "--alpn", "h2,"),
            "ktls-fast proxy: argument --alpn: '' is not a protocol name of 1 to 255 bytes of"
            " UTF-8; separate names by commas, e.g. h2,http/1.1; see ktls-fast proxy --help",
        ),
        (
            (*PROXY, "--alpn", "h2,\udcff"),
            r"ktls-fast proxy: argument --alpn: '\udcff' is not a protocol name of 1 to 255 bytes"
            " of UTF-8; separate names by commas, e.g. h2,http/1.1; see ktls-fast proxy --help",
        ),
        (
            (*PROXY, "--alpn", "x" * 256),
            f"ktls-fast proxy: argument --alpn: '{'x' * 100}...' is not a protocol name of 1 to"
            " 255 bytes of UTF-8; separate names by commas, e.g. h2,http/1.1;"
            " see ktls-fast proxy --help",
        ),
        *(
            (
                (*PROXY, option, ""),
                f"ktls-fast proxy: argument {option}: '' is empty; leave the option out to use"
                " its default; see ktls-fast proxy --help",
            )
            for option in ("--log", "--keylog", "--cert", "--key", "--ca", "--server-name")
        ),
        (
            ("simulate", "--pcap", ""),
            "ktls-fast simulate: argument --pcap: '' is empty; leave the option out to use its"
            " default; see ktls-fast simulate --help",
        ),
        (
            ("doctor", "--seed", "9" * 5000),
            f"ktls-fast doctor: argument --seed: '{'9' * 100}...' is not a whole number;"
            " see ktls-fast doctor --help",
        ),
        (
            (*PROXY, "--cert", "c.pem"),
            "ktls-fast proxy: --cert c.pem requires --key; see ktls-fast proxy --help",
        ),
        (
            (*PROXY, "--ca", "webpki"),
            "ktls-fast proxy: --ca requires --originate; see ktls-fast proxy --help",
        ),
        (
            (*PROXY, "--key-password-file", "p.txt"),
            "ktls-fast proxy: --key-password-file p.txt requires --key; see ktls-fast proxy --help",
        ),
        (
            (*PROXY, "--keylog", "-"),
            "ktls-fast proxy: --keylog - would mix secrets with the output; use a file;"
            " see ktls-fast proxy --help",
        ),
        (
            (*PROXY, "--originate", "--key", "k.pem"),
            "ktls-fast proxy: --key cannot be used with --originate; see ktls-fast proxy --help",
        ),
        (
            (*PROXY, "--handshake-timeout", "0"),
            "ktls-fast proxy: --handshake-timeout must not be 0; use 0.1 or more;"
            " see ktls-fast proxy --help",
        ),
        (
            ("proxy", "--listen", ":0", "--connect", "127.0.0.1:0"),
            "ktls-fast proxy: --connect 127.0.0.1:0 requires a host and a port other than 0;"
            " see ktls-fast proxy --help",
        ),
    ],
)
def test_misuse_is_reported_in_one_sentence_with_status_2(
    arguments: tuple[str, ...], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert capsys.readouterr().err == f"{sentence}\n"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (
            (*PROXY, "--cert", "/nowhere/c.pem", "--key", "/nowhere/k.pem"),
            "cannot read the certificate /nowhere/c.pem: no such file or directory",
        ),
        (
            (*PROXY, "--originate", "--ca", "/nowhere/ca.pem"),
            "cannot read the root certificates /nowhere/ca.pem: no such file or directory",
        ),
        (
            (*PROXY, "--log", "/nowhere/log"),
            "cannot open the log /nowhere/log: no such file or directory;"
            " pass a file in an existing directory to --log",
        ),
        *(
            (
                (*PROXY, "--originate", "--ca", "webpki", "--server-name", name),
                f'cannot check the certificate of 127.0.0.1:1: server_name "{name}" is neither a'
                " DNS name nor an IP address; pass the DNS name or IP address of the certificate"
                " to --server-name",
            )
            for name in ("a b", "a..b", "*", "localhost:443")
        ),
        (
            (*PROXY, "--originate", "--ca", "webpki", "--alpn", ",".join(["x" * 255] * 200)),
            "cannot use --alpn: 200 ALPN protocols of 51200 bytes, lengths included, do not fit a"
            " ClientHello: at most 28671 bytes do; use fewer protocols",
        ),
        (
            (*PROXY, "--keylog", "/nowhere/keys"),
            "cannot write the key log /nowhere/keys: no such file or directory;"
            " pass a file in an existing directory to --keylog",
        ),
        (
            ("proxy", "--listen", "192.0.2.1:0", "--connect", "127.0.0.1:1"),
            "cannot listen on 192.0.2.1:0: cannot assign requested address;"
            " --listen requires an address of this machine",
        ),
        (
            ("proxy", "--listen", "127.0.0.1:0", "--connect", "a..b:1"),
            "cannot resolve 'a..b' of --connect a..b:1: it is not a host name; check the host name",
        ),
        (
            ("proxy", "--listen", "a..b:0", "--connect", "127.0.0.1:1"),
            "cannot make a certificate for 'a..b' of --listen: 'a..b' is not a host name;"
            " use --cert and --key, or another name",
        ),
        (
            ("proxy", "--listen", "b\u00fccher.invalid:0", "--connect", "\u00fc..b:1"),
            "cannot resolve '\u00fc..b' of --connect \u00fc..b:1: it is not a host name;"
            " check the host name",
        ),
        (
            ("demo", "--size", "3MiB", "--connections", "4"),
            "--size 3145728 is too little for --connections 4; use at least 4MiB",
        ),
    ],
)
def test_failure_is_reported_in_one_sentence_with_status_1(
    arguments: tuple[str, ...], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 1
    assert capsys.readouterr().err == f"ktls-fast: {sentence}\n"


def test_port_in_use_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as busy:
        listen = f"127.0.0.1:{busy.getsockname()[1]}"
        for workers in ("1", "2"):
            arguments = ("--listen", listen, "--connect", "127.0.0.1:1", "--workers", workers)
            assert main(["proxy", *arguments]) == 1
            assert capsys.readouterr().err == (
                f"ktls-fast: cannot listen on {listen}: address already in use;"
                " stop the program that listens there, or choose another port\n"
            )


def test_certificate_that_does_not_parse_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "no.pem"
    file.write_text("-----BEGIN CERTIFICATE-----\nnot base64\n-----END CERTIFICATE-----\n")
    assert main([*PROXY, "--cert", str(file), "--key", str(file)]) == 1
    said = capsys.readouterr().err
    assert said.startswith(f"ktls-fast: cannot use certificate {file} with key {file}: ")
    assert said.endswith("; use a certificate chain, leaf first, and its private key as PEM\n")
    assert said.count("\n") == 1


def test_debug_shows_the_traceback() -> None:
    with pytest.raises(Exception, match="cannot read the certificate"):
        main(["--debug", *PROXY, "--cert", "/nowhere/c.pem", "--key", "/nowhere/k.pem"])


def test_the_version_is_that_of_the_package(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["--version"])
    assert caught.value.code == 0
    assert capsys.readouterr().out == f"ktls-fast {ktls_fast.__version__}\n"


@pytest.mark.parametrize(
    "command", [(), ("proxy",), ("demo",), ("simulate",), ("stat",), ("doctor",)]
)
def test_every_command_has_help(
    command: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        main([*command, "--help"])
    assert caught.value.code == 0
    assert capsys.readouterr().out.startswith(" ".join(("usage: ktls-fast", *command)))


def test_stat_prints_each_counter_as_the_kernel_does(capsys: pytest.CaptureFixture[str]) -> None:
    counters = ktls_fast.tls_stat()
    assert main(["stat"]) == 0
    out = capsys.readouterr().out
    assert out == format_counters(counters)
    names = [re.fullmatch(r"(?=.{32}\t)(\w+) *\t-?\d+", line) for line in out.splitlines()]
    assert [match and match[1] for match in names] == list(counters)


def test_stat_prints_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["stat", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == ktls_fast.tls_stat()


def test_doctor_reports_what_the_machine_supports(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["ktls_fast"] == ktls_fast.__version__
    assert found["cpu_features"] == ktls_fast.cpu_features()
    assert found["aead"] == ktls_fast.aead_in_use()
    assert found["kernel_tls"]["ulp"].partition(":")[0] == _ulp_here()
    assert found["kernel_tls"]["rekey"].partition(":")[0] in ("yes", "no")


def test_doctor_prints_a_line_for_each_thing(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == [
        *("ktls_fast", "python", "platform", "cpu_features", "aead", "kernel_tls", "file_limit")
    ]


def test_modules_of_single_commands_are_imported_on_demand() -> None:
    heavy = "cryptography", "rich", "numpy", "matplotlib", "argparse"
    code = f"import sys, ktls_fast; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    assert done.stdout == "[]\n"


def _ulp_here() -> str:
    """Ask the kernel's list, where it has one, rather than a socket."""
    offered = Path("/proc/sys/net/ipv4/tcp_available_ulp")
    return "yes" if "tls" in offered.read_text().split() else "no"
