"""Hold an exclusive lock on a database until told to let go: a process of its own."""

import sqlite3
import sys


def main() -> None:
    """Take the lock, say so, wait for a line, release."""
    connection = sqlite3.connect(sys.argv[1], isolation_level=None)
    connection.execute("BEGIN EXCLUSIVE")
    sys.stdout.write("locked\n")
    sys.stdout.flush()
    sys.stdin.readline()
    connection.execute("ROLLBACK")
    connection.close()


main()
