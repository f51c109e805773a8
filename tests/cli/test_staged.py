"""What a command line names: how a run ends that has files in the place of addresses."""

import os
import signal

import pytest

from tumorlens.cli.staged import _end_in_order


def test_a_scheduler_ends_a_run_with_addresses_in_order():
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt), _end_in_order([("a", "s3://bucket/key"), None]):
        os.kill(os.getpid(), signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) is before


def test_without_an_address_a_signal_does_what_it_did():
    before = signal.getsignal(signal.SIGTERM)
    with _end_in_order([("a", "b"), None, 3]):
        assert signal.getsignal(signal.SIGTERM) is before
