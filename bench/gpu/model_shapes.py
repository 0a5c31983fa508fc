"""Writes a model folder in the shapes of a published model, without a download: config.json and model.safetensors.

Usage: model_shapes.py qwen3-0.6b|llama-8b|gemma4-e4b OUT --base FOLDER [--data]
FOLDER is a tiny model of the family (test/goldens/qwen3, llama, gemma4-e4b), whose config and tokenizer files are taken. Without --data
the weights are a hole in the file: enough for `mistralrs plan`. With it they are random BF16 (needs numpy).
"""
import argparse
import json
import shutil
import struct
from pathlib import Path

SHAPES = {
    "qwen3-0.6b": dict(hidden_size=1024, intermediate_size=3072, num_hidden_layers=28, num_attention_heads=16, num_key_value_heads=8,
                       head_dim=128, vocab_size=151936, max_position_embeddings=40960, max_window_layers=28),
    "llama-8b": dict(hidden_size=4096, intermediate_size=14336, num_hidden_layers=32, num_attention_heads=32, num_key_value_heads=8,
                     head_dim=128, vocab_size=128256, max_position_embeddings=131072),
    "gemma4-e4b": dict(hidden_size=2560, intermediate_size=10240, num_hidden_layers=42, num_attention_heads=8, num_key_value_heads=2,
                       head_dim=256, global_head_dim=512, hidden_size_per_layer_input=256, vocab_size=262144,
                       vocab_size_per_layer_input=262144, sliding_window=512, num_kv_shared_layers=18,
                       layer_types=(["sliding_attention"] * 5 + ["full_attention"]) * 7, max_position_embeddings=131072),
}


def attention_and_mlp(t, p, c, head_dim):
    d, ff = c["hidden_size"], c["intermediate_size"]
    q, kv = c["num_attention_heads"] * head_dim, c["num_key_value_heads"] * head_dim
    t.update({p + "self_attn.q_proj.weight": [q, d], p + "self_attn.k_proj.weight": [kv, d], p + "self_attn.v_proj.weight": [kv, d],
              p + "self_attn.o_proj.weight": [d, q], p + "mlp.gate_proj.weight": [ff, d], p + "mlp.up_proj.weight": [ff, d],
              p + "mlp.down_proj.weight": [d, ff], p + "input_layernorm.weight": [d], p + "post_attention_layernorm.weight": [d]})


def tensors(c):
    """Name -> shape, as the family's checkpoints have them."""
    family, d, layers = c["model_type"], c["hidden_size"], c["num_hidden_layers"]
    t = {"model.embed_tokens.weight": [c["vocab_size"], d], "model.norm.weight": [d]}
    if not c["tie_word_embeddings"]:
        t["lm_head.weight"] = [c["vocab_size"], d]
    ple = c.get("hidden_size_per_layer_input", 0)
    if ple:
        t.update({"model.embed_tokens_per_layer.weight": [c["vocab_size"], layers * ple],
                  "model.per_layer_model_projection.weight": [layers * ple, d], "model.per_layer_projection_norm.weight": [ple]})
    for i in range(layers):
        p = f"model.layers.{i}."
        is_full = c.get("layer_types", [""] * layers)[i] == "full_attention"
        head_dim = c["global_head_dim"] if is_full and "global_head_dim" in c else c["head_dim"]
        attention_and_mlp(t, p, c, head_dim)
        if family != "llama":
            t.update({p + "self_attn.q_norm.weight": [head_dim], p + "self_attn.k_norm.weight": [head_dim]})
        if ple:
            t.update({p + "pre_feedforward_layernorm.weight": [d], p + "post_feedforward_layernorm.weight": [d],
                      p + "post_per_layer_input_norm.weight": [d], p + "per_layer_input_gate.weight": [ple, d],
                      p + "per_layer_projection.weight": [d, ple], p + "layer_scalar": [1]})
    return t


def write(path, shapes, with_data):
    header, end = {}, 0
    for name, shape in shapes.items():
        begin = end
        size = 2
        for n in shape:
            size *= n
        end += size
        header[name] = {"dtype": "BF16", "shape": shape, "data_offsets": [begin, end]}
    text = json.dumps(header).encode()
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text)
        if not with_data:
            return f.truncate(8 + len(text) + end)
        import numpy as np
        values = np.random.default_rng(0).standard_normal(1 << 25, dtype=np.float32) * 0.02
        block = (values.view(np.uint32) >> 16).astype(np.uint16).tobytes()
        for at in range(0, end, len(block)):
            f.write(block[: end - at])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("shape", choices=SHAPES)
    parser.add_argument("out", type=Path)
    parser.add_argument("--base", type=Path, required=True)
    parser.add_argument("--data", action="store_true")
    a = parser.parse_args()
    config = json.loads((a.base / "config.json").read_text()) | SHAPES[a.shape]
    a.out.mkdir(parents=True, exist_ok=True)
    for file in a.base.glob("*.json"):
        if "golden" not in file.name:
            shutil.copy(file, a.out)
    (a.out / "config.json").write_text(json.dumps(config))
    write(a.out / "model.safetensors", tensors(config), a.data)


main()
