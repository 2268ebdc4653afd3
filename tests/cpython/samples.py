"""Tests with every outcome, for the tests of the runner."""

from __future__ import annotations

import os
import time
import unittest


class Samples(unittest.TestCase):
    """A test for each outcome."""

    def test_passes(self) -> None:
        pass

    def test_fails(self) -> None:
        self.fail("as planted")

    def test_raises(self) -> None:
        raise OSError

    def test_is_skipped(self) -> None:
        self.skipTest("as planted")

    def test_fails_in_a_subtest(self) -> None:
        for number in range(3):
            with self.subTest(number=number):
                assert number != 1

    def test_fails_in_its_cleanup(self) -> None:
        self.addCleanup(self.fail, "as planted")

    @unittest.expectedFailure
    def test_fails_as_expected(self) -> None:
        self.fail("as planted")

    def test_takes_too_long(self) -> None:
        time.sleep(60)


class EndingSamples(unittest.TestCase):
    """Tests that end or block the process."""

    def test_ends_the_process(self) -> None:
        os._exit(3)

    def test_is_never_interrupted(self) -> None:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            try:
                time.sleep(60)
            except TimeoutError:
                continue
