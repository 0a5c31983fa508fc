"""Runs schemathesis with deeper recursion than Python's default, which describing schemas as large as ours takes."""

import sys
import threading

from schemathesis.cli import schemathesis


def main():
    sys.setrecursionlimit(100_000)
    threading.stack_size(512 * 1024 * 1024)
    codes = []

    def run():
        try:
            codes.append(schemathesis(sys.argv[1:], standalone_mode=False) or 0)
        except SystemExit as end:
            codes.append(end.code)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    return codes[0] if codes else 1


sys.exit(main())
