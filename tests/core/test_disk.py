"""What a person is told of the machine's own troubles."""

from __future__ import annotations

import errno
import os

from hive_core import disk


def test_of_a_limit_on_open_files_both_that_it_may_be_are_named() -> None:
    refused = disk.refusal(OSError(errno.EMFILE, os.strerror(errno.EMFILE)))
    assert refused is not None
    assert "ulimit -n" in refused.hint
    assert "fs.inotify.max_user_instances" in refused.hint
