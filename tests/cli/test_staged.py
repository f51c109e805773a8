"""What a command line names: how a run ends that has files in the place of addresses."""

import os
import signal
from types import SimpleNamespace

import pytest

from tumorlens.cli.staged import _end_in_order, stage


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_scheduler_or_the_end_of_a_terminal_ends_a_run_with_addresses_in_order(number):
    before = signal.getsignal(number)
    with pytest.raises(KeyboardInterrupt), _end_in_order([("a", "s3://bucket/key"), None]):
        os.kill(os.getpid(), number)
    assert signal.getsignal(number) is before


def test_a_signal_that_nohup_ignores_stays_so():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    with _end_in_order(["s3://bucket/key"]):
        os.kill(os.getpid(), signal.SIGHUP)
    assert signal.signal(signal.SIGHUP, before) is signal.SIG_IGN


def test_without_an_address_a_signal_does_what_it_did():
    before = signal.getsignal(signal.SIGTERM)
    with _end_in_order([("a", "b"), None, 3]):
        assert signal.getsignal(signal.SIGTERM) is before


def test_a_signal_ends_a_run_in_order_while_its_results_are_stored(monkeypatch):
    """Nothing must kill the process then: the results and copies of scans would stay behind."""
    handlers = []
    monkeypatch.setattr(
        "tumorlens.remote.staging.Staging.close",
        lambda *_, **__: handlers.append(signal.getsignal(signal.SIGTERM)),
    )
    context = SimpleNamespace(params={"output": "s3://bucket/key"})
    assert stage()(lambda ctx, staging, **_: 0)(context, quiet=True, verbose=False) == 0
    assert handlers == [signal.default_int_handler]
