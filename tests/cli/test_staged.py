"""What a command line names: how a run ends that has files in the place of addresses."""

import os
import signal
from types import SimpleNamespace

import pytest

from tumorlens.cli.staged import _end_in_order, stage


def test_a_scheduler_ends_a_run_with_addresses_in_order():
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt), _end_in_order([("a", "s3://bucket/key"), None]):
        os.kill(os.getpid(), signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) is before


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
