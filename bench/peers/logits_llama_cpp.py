"""Logits of llama.cpp after given prompts, for comparing its rounding with ours.

Reads {"model": path, "threads": n, "prompts": [[token ids], …]} as JSON from stdin, writes the logits after every token to
stdout, float32, prompt after prompt. Needs: pip install -r bench/peers/requirements.txt.
"""
import json
import sys

import llama_cpp.llama_cpp as lc
import numpy as np

from time_llama_cpp import Runner


def main():
    job = json.load(sys.stdin)
    runner = Runner(job["model"], job["threads"], max(len(tokens) for tokens in job["prompts"]))
    for tokens in job["prompts"]:
        runner.clear()
        runner.decode(tokens, 0, every=True)
        logits = np.ctypeslib.as_array(lc.llama_get_logits(runner.ctx), (len(tokens), runner.vocab))
        sys.stdout.buffer.write(logits.astype("<f4").tobytes())


if __name__ == "__main__":
    main()
