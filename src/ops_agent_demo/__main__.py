"""`python -m ops_agent_demo`, which is what `make demo` runs."""

from __future__ import annotations

import sys

if __name__ == "__main__":
    from ops_agent_demo.run import run_demo

    sys.exit(run_demo(sys.argv[1:]))
