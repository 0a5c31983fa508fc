"""Writes testing/data/dequantize.bin: random blocks of every stored type and their values by the `gguf` package.

Run with the packages numpy and gguf (0.19): python make_dequantize_golden.py. Per type: u32 type id, u32 columns, u32 bytes of
blocks, the blocks, the values as float32; little-endian.
"""

import struct
from pathlib import Path

import numpy as np
from gguf import GGML_QUANT_SIZES, GGMLQuantizationType as T
from gguf.quants import dequantize

COLUMNS = 512
# Byte offsets of the float16 fields of a block.
HALVES = {
    T.Q4_0: [0], T.Q4_1: [0, 2], T.Q5_0: [0], T.Q5_1: [0, 2], T.Q8_0: [0], T.Q2_K: [80, 82], T.Q3_K: [108],
    T.Q4_K: [0, 2], T.Q5_K: [0, 2], T.Q6_K: [208], T.IQ4_NL: [0], T.IQ4_XS: [0],
}

random = np.random.default_rng(1)
out = bytearray()
for type, halves in HALVES.items():
    elements, size = GGML_QUANT_SIZES[type]
    blocks = random.integers(0, 256, (COLUMNS // elements, size), dtype=np.uint8)
    for at in halves:
        scales = random.normal(0, 0.02, len(blocks)).astype(np.float16)
        scales[0] = np.float16(3e-7)  # a subnormal
        blocks[:, at : at + 2] = scales.view(np.uint8).reshape(-1, 2)
    values = dequantize(blocks.reshape(1, -1), type).astype("<f4")
    out += struct.pack("<III", type, COLUMNS, blocks.size) + blocks.tobytes() + values.tobytes()
for type, dtype in ((T.F32, np.float32), (T.F16, np.float16)):
    stored = random.normal(0, 1, COLUMNS).astype(dtype)
    stored[:2] = [-0.0, 3e-7]
    out += struct.pack("<III", type, COLUMNS, stored.nbytes) + stored.tobytes() + stored.astype("<f4").tobytes()
stored = random.integers(0, 0x7F80, COLUMNS, dtype=np.uint16)  # any finite value above zero
values = (stored.astype(np.uint32) << 16).view(np.float32)
out += struct.pack("<III", T.BF16, COLUMNS, stored.nbytes) + stored.tobytes() + values.tobytes()
Path(__file__).with_name("data").joinpath("dequantize.bin").write_bytes(out)
