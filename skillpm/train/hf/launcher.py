"""torchrun, or accelerate's launcher: it ends with the process that started it, and tells other machines that it ends.

``python -m skillpm.train.hf.launcher PARENT MODULE ARGUMENT…`` runs the module as ``python -m`` does. Until its
processes have come, nobody else of this machine can tell the others, which would wait for it.
"""

from __future__ import annotations

import os
import runpy
import signal
import sys

from skillpm.sandbox.parent import end_with_parent


def main() -> None:
    """Launch."""
    _, parent, module, *_ = sys.argv
    end_with_parent(int(parent), signal.SIGTERM)
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # while it waits for other machines, Python would not look at it
    sys.argv = sys.argv[2:]
    from torch.distributed.elastic.multiprocessing import SignalException

    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    except SignalException as ended:
        if "GROUP_RANK" in os.environ:
            from skillpm.train.hf.machines import leave

            leave(interrupted=ended.sigval == signal.SIGINT)
        sys.exit(128 + ended.sigval)


if __name__ == "__main__":
    main()
