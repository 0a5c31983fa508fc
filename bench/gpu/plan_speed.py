"""Times prefill and decode of a plan on a backend, with random weights of a given type: no Node, no sampling, no HTTP.

Usage: plan_speed.py PLAN WEIGHTS --type BF16|Q8_0|Q4_K|Q6_K [--plan-run FILE] [--backend cuda] [--threads N]
PLAN and WEIGHTS are of `mistralrs plan -m FOLDER --weights WEIGHTS > PLAN`; the folder's weights may be a hole (model_shapes.py).
Every matrix takes its values from one file of random blocks, so that 16 GB of weights cost 64 MB of disk. Needs numpy.
"""
import argparse
import random
import re
import statistics
import subprocess
import tempfile
from pathlib import Path

import numpy as np

BLOCK = {"BF16": (1, 2), "Q8_0": (32, 34), "Q4_K": (256, 144), "Q6_K": (256, 210)}  # columns, bytes
FILE_BYTES = 64 << 20


def random_blocks(kind):
    """Blocks whose values spread by about 0.02."""
    rng = np.random.default_rng(0)
    if kind == "BF16":
        return ((rng.standard_normal(FILE_BYTES // 2, dtype=np.float32) * 0.02).view(np.uint32) >> 16).astype(np.uint16)
    size = BLOCK[kind][1]
    blocks = rng.integers(0, 256, (FILE_BYTES // size, size), dtype=np.uint8)
    scales = {"Q8_0": {0: 0.02 / 73}, "Q4_K": {0: 0.02 / 150, 2: 0.02 / 20}, "Q6_K": {208: 0.02 / 1500}}[kind]
    for at, value in scales.items():
        blocks[:, at : at + 2] = np.frombuffer(np.float16(value).tobytes(), np.uint8)
    return blocks


def weight_lines(weights, kind, folder):
    """The weights file with every matrix as parts of the random file; vectors stay BF16."""
    most = FILE_BYTES - (4 << 20)
    for number, line in enumerate(Path(weights).read_text().splitlines()):
        name, _, _, _, _, rows, cols = line.split("\t")[:7]
        rows, cols = int(rows), int(cols)
        stored = kind if rows > 1 else "BF16"
        columns, size = BLOCK[stored]
        row_bytes = cols // columns * size
        while rows > 0:
            part = min(rows, most // row_bytes)
            rows -= part
            offset = number * 7919 % max(1, min(64, (FILE_BYTES - part * row_bytes) // row_bytes)) * row_bytes
            yield f"{name}\t{folder}/{stored}\t{offset}\t{part * row_bytes}\t{stored}\t{part}\t{cols}\n"


class Sequence:
    def __init__(self, batches):
        self.batches, self.length, self.pages = batches, 0, [[] for _ in batches.groups]

    def line(self, count, wants_logits=True):
        position = self.length
        self.length += count
        words = [f"sequence position={position}", "tokens=" + ",".join(str(self.batches.token()) for _ in range(count))]
        for pages, (window, page_tokens) in zip(self.pages, self.batches.groups):
            while len(pages) * page_tokens < self.length:
                pages.append(self.batches.new_page())
            behind = lambda i: window and (i + 1) * page_tokens <= position - window + 1
            words.append("pages=" + ",".join(str(-1 if behind(i) else page) for i, page in enumerate(pages)))
        return " ".join(words) + (f" logits={count - 1}" if wants_logits else "")


class Batches:
    """The text of plan_run's batches, and what each run measures."""

    def __init__(self, plan):
        self.groups = [(int(w or 0), int(p)) for w, p in re.findall(r"^group \d+ kind=\w+(?: window=(\d+))?.*page_tokens=(\d+)", plan, re.M)]
        self.vocab = int(re.search(r"^vocab (\d+)", plan, re.M)[1])
        self.random, self.pages, self.lines, self.tests = random.Random(1), 0, [], []

    def token(self):
        return self.random.randrange(self.vocab)

    def new_page(self):
        self.pages += 1
        return self.pages - 1

    def run(self, test, *sequences):
        self.lines += [*sequences, "run"]
        self.tests.append(test)

    def fill(self):
        for length in (128, 512, 4096):
            for i in range(3):
                prompt = Sequence(self)
                self.run("warm-up" if i == 0 else f"prefill {length}", prompt.line(length))
        short = Sequence(self)
        self.run("warm-up", short.line(16))
        many = [Sequence(self) for _ in range(32)]
        self.run("warm-up", *(s.line(128, False) for s in many))
        for test, sequences in (("decode at 4096", [prompt]), ("decode at 16", [short]), ("decode 32 at 128", many)):
            for i in range(30):
                self.run("warm-up" if i < 6 else test, *(s.line(1) for s in sequences))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("plan")
    parser.add_argument("weights")
    parser.add_argument("--type", choices=BLOCK, default="BF16")
    parser.add_argument("--plan-run", default="build/native/plan_run")
    parser.add_argument("--backend", default="cuda")
    parser.add_argument("--threads", default="16")
    a = parser.parse_args()
    batches = Batches(Path(a.plan).read_text())
    batches.fill()
    with tempfile.TemporaryDirectory() as folder:
        for kind in {a.type, "BF16"}:
            random_blocks(kind).tofile(f"{folder}/{kind}")
        Path(folder, "weights").write_text("".join(weight_lines(a.weights, a.type, folder)))
        Path(folder, "batches").write_text("\n".join(batches.lines) + "\n")
        command = [a.plan_run, "--plan", a.plan, "--weights", f"{folder}/weights", "--batch", f"{folder}/batches", "--backend", a.backend,
                   "--kv", "f16", "--threads", a.threads]
        output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    print(output.splitlines()[0])
    times = {}
    for (tokens, ms), test in zip(re.findall(r"^run \d+: (\d+) tokens, ([\d.]+) ms", output, re.M), batches.tests):
        times.setdefault((test, int(tokens)), []).append(float(ms))
    for (test, tokens), ms in times.items():
        if test != "warm-up":
            median = statistics.median(ms)
            print(f"{test}: {median:.3f} ms ({min(ms):.3f} to {max(ms):.3f}), {tokens / median * 1000:.0f} tok/s")


main()
