"""What a Linux 7.3.4 kernel was seen to do, call by call, and what we do in its place."""

from contextlib import closing

import pytest

from ktls_fast import aead_in_use
from ktls_fast._tools.conformance.ends import UnsupportedSocketsError
from ktls_fast._tools.conformance.replay import NOT_REPLAYED, replay
from ktls_fast._tools.conformance.sides import engine
from ktls_fast._tools.conformance.steps import CallResult, Step, expected, scenarios

# How the kernel cut a record into the pages of a pipe.
UNSAID = {"pieces"}
# A cipher that the recorded kernel lacked.
WITHOUT = {
    "cipher.12_sm4gcm": "SM4_GCM",
    "cipher.13_sm4gcm": "SM4_GCM",
    "set.fail_nocipher_then_ok": "SM4_GCM",
    "cipher.12_sm4ccm": "SM4_CCM",
    "cipher.13_sm4ccm": "SM4_CCM",
    "cipher.12_aria128": "ARIA_GCM_128",
    "cipher.12_aria256": "ARIA_GCM_256",
}


@pytest.mark.parametrize("scenario", scenarios(), ids=lambda scenario: scenario["name"])
def test_scenario_ends_as_on_the_kernel(scenario: Step) -> None:
    if reason := not_replayed(scenario["name"]):
        pytest.skip(reason)
    played = 0
    try:
        with closing(replay(scenario, engine())) as calls:
            for step, got in calls:
                assert same(got, expected(step)), f"step {played} {step}: {got}"
                played += 1
    except UnsupportedSocketsError as error:
        pytest.skip(str(error))
    assert played


def not_replayed(name: str) -> str | None:
    """Return why a scenario cannot be compared, or None."""
    if WITHOUT.get(name) in aead_in_use():
        return f"that kernel had no {WITHOUT[name]}, we have"
    return NOT_REPLAYED.get(name)


def same(got: CallResult, want: CallResult) -> bool:
    """Return True if the results are equal to those that the recording has."""
    return {key: got.get(key) for key in want if key not in UNSAID} == {
        key: want[key] for key in want if key not in UNSAID
    }
