"""Random programs end on two KtlsSockets as on the plain model, call by call."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ktls_fast._tools.conformance.compare import compare
from ktls_fast._tools.conformance.random_program import RandomProgram, random_scenario
from ktls_fast._tools.conformance.shrink import shrink
from ktls_fast._tools.conformance.sides import engine
from ktls_fast._tools.conformance.steps import Step
from tests.ktls_model_side import model

CALLS = 80  # with 400 examples, as in CI, more than 20,000
SECONDS = 60.0  # none of the calls waits, but machines may be slow


def differs(scenario: Step) -> bool:
    return bool(compare(scenario, engine, model, SECONDS).differences)


@given(st.integers(0, 1 << 64))
def test_random_calls_return_what_the_model_returns(seed: int) -> None:
    scenario = random_scenario(seed, 0, CALLS, RandomProgram)
    if not differs(scenario):
        return
    small = shrink(scenario, differs)
    pytest.fail(f"{compare(small, engine, model, SECONDS).differences[:1]} in {json.dumps(small)}")
