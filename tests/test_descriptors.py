"""A process that starts without standard input, output or error never writes messages into its own files."""

import itertools
import subprocess
import sys

COMBINATIONS = [closed for count in (1, 2, 3) for closed in itertools.combinations(range(3), count)]
CHILD = """
import os, sys
folder = sys.argv[1]
for closed in {combinations}:
    path = os.path.join(folder, "".join(map(str, closed)))
    if os.fork() == 0:
        for number in closed:
            os.close(number)
            setattr(sys, ("stdin", "stdout", "stderr")[number], None)  # as Python does when it starts
        import gluon_classics
        file = open(path, "w")
        os.write(1, b"a result")
        os.write(2, b"a note")
        print("a name that is not UTF-8: \\udcff", file=sys.stderr)
        file.write(f"{{file.fileno() > 2}} {{sys.stdin.read()!r}} {{sys.stdout.fileno()}} {{sys.stderr.fileno()}}")
        file.flush()
        os._exit(0)
    os.wait()
"""


def test_each_combination_of_closed_descriptors_is_opened_before_any_file(tmp_path):
    child = CHILD.format(combinations=COMBINATIONS)
    subprocess.run(
        [sys.executable, "-c", child, str(tmp_path)], check=True, stdin=subprocess.DEVNULL, capture_output=True
    )
    found = {path.name: path.read_text() for path in tmp_path.iterdir()}
    assert found == {"".join(map(str, closed)): "True '' 1 2" for closed in COMBINATIONS}
