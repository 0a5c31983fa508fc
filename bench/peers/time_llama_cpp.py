"""Times llama.cpp on the same terms as `mistralrs bench`: raw prefill and decode steps, no sampling beyond the best token.

Prints the same JSON rows. Needs: pip install -r bench/peers/requirements.txt (built for this machine: GGML_NATIVE=ON).
"""
import argparse
import ctypes
import json
import statistics
import time

import llama_cpp
import llama_cpp.llama_cpp as lc
import numpy as np


def lehmer(n, vocab):
    state, out = 1, []
    for _ in range(n):
        state = state * 48271 % 2147483647
        out.append(state % vocab)
    return out


class Runner:
    def __init__(self, path, threads, context):
        lc.llama_backend_init()
        model_params = lc.llama_model_default_params()
        model_params.n_gpu_layers = 0
        self.model = lc.llama_model_load_from_file(path.encode(), model_params)
        if not self.model:
            raise SystemExit(f"llama.cpp cannot load {path}")
        params = lc.llama_context_default_params()
        params.n_ctx, params.n_batch, params.n_ubatch = context, context, 512
        params.n_threads = params.n_threads_batch = threads
        params.no_perf = True
        self.ctx = lc.llama_init_from_model(self.model, params)
        self.vocab = lc.llama_vocab_n_tokens(lc.llama_model_get_vocab(self.model))
        self.batch = lc.llama_batch_init(context, 0, 1)

    def clear(self):
        lc.llama_memory_clear(lc.llama_get_memory(self.ctx), True)

    def decode(self, tokens, start, every=False):
        b = self.batch
        b.n_tokens = len(tokens)
        for i, token in enumerate(tokens):
            b.token[i], b.pos[i], b.n_seq_id[i], b.seq_id[i][0] = token, start + i, 1, 0
            b.logits[i] = every or i == len(tokens) - 1
        if lc.llama_decode(self.ctx, b) != 0:
            raise SystemExit("llama_decode failed")
        lc.llama_synchronize(self.ctx)

    def best(self):
        logits = lc.llama_get_logits_ith(self.ctx, -1)
        return int(np.argmax(np.ctypeslib.as_array(logits, (self.vocab,))))

    def prefill(self, n):
        self.clear()
        tokens = lehmer(n, self.vocab)
        begin = time.perf_counter()
        self.decode(tokens, 0)
        self.best()
        return time.perf_counter() - begin

    def generate(self, depth, n):
        self.clear()
        self.decode(lehmer(depth, self.vocab), 0)
        token = self.best()
        begin = time.perf_counter()
        for i in range(n):
            self.decode([token], depth + i)
            token = self.best()
        return time.perf_counter() - begin


def row(test, prompt, gen, seconds):
    tokens = gen or prompt
    rates = [tokens / s for s in seconds]
    stats = {"mean": statistics.fmean(rates), "stddev": statistics.pstdev(rates), "p50": statistics.median(rates), "min": min(rates), "max": max(rates)}
    return {"test": test, "promptTokens": prompt, "genTokens": gen, "tokensPerSecond": stats, "latencyMs": statistics.fmean(seconds) * 1000 / (gen or 1)}


def main():
    ints = lambda text: [int(x) for x in text.split(",")]
    p = argparse.ArgumentParser()
    p.add_argument("--model", required=True)
    p.add_argument("--threads", type=int, required=True)
    p.add_argument("--prompt-len", type=ints, default=[512])
    p.add_argument("--gen-len", type=int, default=128)
    p.add_argument("--depth", type=ints, default=[4])
    p.add_argument("--iterations", type=int, default=3)
    p.add_argument("--warmup", type=int, default=1)
    a = p.parse_args()
    lengths = [n for n in a.prompt_len if n > 0]
    runner = Runner(a.model, a.threads, max(lengths + [d + a.gen_len for d in a.depth] + [512]))

    def timed(run):
        for _ in range(a.warmup):
            run()
        return [run() for _ in range(a.iterations)]

    rows = [row("prefill", n, 0, timed(lambda: runner.prefill(n))) for n in lengths]
    gen = a.gen_len - 1
    if gen > 0:
        rows += [row("decode", d, gen, timed(lambda: runner.generate(d, gen))) for d in a.depth]
    print(json.dumps({"model": a.model, "engine": f"llama.cpp (llama-cpp-python {llama_cpp.__version__})", "threads": a.threads, "rows": rows}))


if __name__ == "__main__":
    main()
