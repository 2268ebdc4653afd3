"""The exceptions: one tree, each an ``OSError`` with the errno of a kernel TLS socket."""

import errno
import pickle
import re
from collections.abc import Callable

import pytest

import ktls_fast
from ktls_fast import (
    AlertReceivedError,
    BadRecordError,
    ConfigError,
    HandshakeError,
    KeyExpiredError,
    KeyLimitError,
    KtlsError,
    Opener,
    PeerError,
    RecordTooLargeError,
    Sealer,
    TruncatedError,
)
from tests.reference import AES_GCM_128, HANDSHAKE, TLS13, traffic_key

KEY = traffic_key(TLS13, AES_GCM_128)
ERRNO = {
    BadRecordError: errno.EBADMSG,
    RecordTooLargeError: errno.EMSGSIZE,
    KeyExpiredError: errno.EKEYEXPIRED,
    KeyLimitError: errno.EKEYEXPIRED,
    ConfigError: errno.EINVAL,
    HandshakeError: errno.EPROTO,
    PeerError: errno.EPROTO,
    AlertReceivedError: errno.ECONNABORTED,
    TruncatedError: errno.ECONNRESET,
}
every_class = pytest.mark.parametrize("error_class", [KtlsError, *ERRNO])


@every_class
def test_each_exception_is_an_os_error_of_this_package(error_class: type[KtlsError]) -> None:
    assert issubclass(error_class, KtlsError)
    assert issubclass(error_class, OSError)


@pytest.mark.parametrize("error_class", ERRNO)
def test_each_exception_derives_directly_from_the_base(error_class: type[KtlsError]) -> None:
    """Catching one never catches another."""
    beside = (ValueError,) if error_class is ConfigError else ()
    assert error_class.__bases__ == (KtlsError, *beside)


@every_class
def test_each_exception_survives_pickling(error_class: type[KtlsError]) -> None:
    error = error_class(errno.EBADMSG, "text")
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is error_class
    assert (again.errno, again.strerror) == (errno.EBADMSG, "text")


@every_class
def test_each_exception_is_exported(error_class: type[KtlsError]) -> None:
    assert getattr(ktls_fast, error_class.__name__) is error_class


@pytest.mark.parametrize(("error_class", "number"), ERRNO.items())
def test_docstrings_name_the_errno(error_class: type[KtlsError], number: int) -> None:
    assert error_class.__doc__ is not None
    assert error_class.__doc__.startswith(f"{errno.errorcode[number]}: ")


@pytest.mark.parametrize(("error_class", "number"), ERRNO.items())
def test_the_tree_in_the_module_names_the_errno(error_class: type[KtlsError], number: int) -> None:
    line = rf"{error_class.__name__} +{errno.errorcode[number]} "
    assert re.search(line, ktls_fast.errors.__doc__ or "")


def attempts() -> list[Callable[[], object]]:
    """Return a misuse or bad record for each class that the record layer raises."""
    paused = Opener(KEY.struct())
    paused.open(KEY.seal(ktls_fast.key_update_message(), HANDSHAKE))
    return [
        lambda: Opener(KEY.struct()).open(bytes(30)),
        lambda: Opener(KEY.struct()).open(KEY.seal(b"", nth=1)),
        lambda: Opener(KEY.struct()).open(b"\x17\3\3\xff\xff" + bytes(65535)),
        lambda: paused.open(KEY.seal(b"", nth=1)),
        lambda: Sealer(KEY.struct(), record_limit=0).seal(b""),
        lambda: Sealer(KEY.struct()).seal(bytes(16385)),
        lambda: Sealer(KEY.struct()[:-1]),
    ]


def raised_by_the_core() -> list[KtlsError]:
    """Return the errors that the attempts raise."""
    errors = []
    for attempt in attempts():
        with pytest.raises(KtlsError) as caught:
            attempt()
        errors.append(caught.value)
    return errors


def test_the_core_raises_each_class_with_its_errno() -> None:
    assert [(type(error), error.errno) for error in raised_by_the_core()] == [
        (BadRecordError, errno.EBADMSG),
        (BadRecordError, errno.EBADMSG),
        (RecordTooLargeError, errno.EMSGSIZE),
        (KeyExpiredError, errno.EKEYEXPIRED),
        (KeyLimitError, errno.EKEYEXPIRED),
        (RecordTooLargeError, errno.EMSGSIZE),
        (KtlsError, errno.EINVAL),
    ]


def test_errors_of_the_core_survive_pickling() -> None:
    for error in raised_by_the_core():
        again = pickle.loads(pickle.dumps(error))
        assert (type(again), again.args) == (type(error), error.args)


def test_messages_of_the_core_are_lower_case_without_a_full_stop() -> None:
    for error in raised_by_the_core():
        assert error.strerror
        assert not error.strerror[0].isupper()
        assert not error.strerror.endswith(".")
