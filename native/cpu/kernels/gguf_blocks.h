// Reads one block of each GGUF quantization type into its parts: codes in column order, scales and sub-scales.
// Source of the layouts: ggml-common.h and ggml-quants.c of ggml.
#pragma once
#include <string.h>

#include "cpu/kernels/quant_format.h"

namespace mistralrs::kernels {

struct BlockParts {
  uint16_t d, m;      // f16
  uint8_t sub[16];    // as stored in a panel: i8, or scale | min << 4
  uint8_t min[16];
  uint8_t codes[256];
};

inline uint16_t read16(const uint8_t* p) { return static_cast<uint16_t>(p[0] | p[1] << 8); }

// 16 bytes of two nibbles: low ones are columns 0..15, high ones 16..31. A vector by hand: GCC leaves 16 rounds scalar (10x slower).
inline void readNibbles(const uint8_t* p, uint8_t* codes) {
  typedef uint8_t Bytes __attribute__((vector_size(16)));
  Bytes both;
  memcpy(&both, p, 16);
  const Bytes low = both & 15, high = both >> 4;
  memcpy(codes, &low, 16);
  memcpy(codes + 16, &high, 16);
}

// One bit for each of 32 columns.
inline void addFifthBits(const uint8_t* p, uint8_t* codes) {
  for (int i = 0; i < 32; ++i) codes[i] = static_cast<uint8_t>(codes[i] | (p[i / 8] >> i % 8 & 1) << 4);
}

// Eight scales and minima of 6 bits in 12 bytes (Q4_K, Q5_K).
inline void readScales6(const uint8_t* p, uint8_t* scales, uint8_t* minima) {
  for (int j = 0; j < 4; ++j) {
    scales[j] = p[j] & 63;
    minima[j] = p[j + 4] & 63;
    scales[j + 4] = static_cast<uint8_t>((p[j + 8] & 15) | p[j] >> 6 << 4);
    minima[j + 4] = static_cast<uint8_t>(p[j + 8] >> 4 | p[j + 4] >> 6 << 4);
  }
}

// 128 bytes of two nibbles, in runs of 32 bytes: low ones are 32 columns, high ones the next 32 (Q4_K, Q5_K).
inline void readNibbleRuns(const uint8_t* p, uint8_t* codes) {
  for (int run = 0; run < 4; ++run)
    for (int i = 0; i < 32; ++i) {
      codes[64 * run + i] = p[32 * run + i] & 15;
      codes[64 * run + 32 + i] = p[32 * run + i] >> 4;
    }
}

// 64 bytes of four 2-bit fields, in two runs of 32 bytes: field s is columns 128 run + 32 s + i (Q2_K, Q3_K).
inline void readFields2(const uint8_t* p, uint8_t* codes) {
  for (int run = 0; run < 2; ++run)
    for (int s = 0; s < 4; ++s)
      for (int i = 0; i < 32; ++i) codes[128 * run + 32 * s + i] = p[32 * run + i] >> 2 * s & 3;
}

// 32 bytes of eight bits: bit j of byte i belongs to column 32 j + i (Q3_K, Q5_K).
inline void addTopBits(const uint8_t* p, int place, uint8_t* codes) {
  for (int j = 0; j < 8; ++j)
    for (int i = 0; i < 32; ++i) codes[32 * j + i] = static_cast<uint8_t>(codes[32 * j + i] | (p[i] >> j & 1) << place);
}

template <class F>
struct GgufBlock;

template <>
struct GgufBlock<Q4_0> {
  static constexpr int kBytes = 18;
  static void read(const uint8_t* p, BlockParts& out) {
    out.d = read16(p);
    readNibbles(p + 2, out.codes);
  }
};

template <>
struct GgufBlock<IQ4_NL> : GgufBlock<Q4_0> {};

template <>
struct GgufBlock<Q4_1> {
  static constexpr int kBytes = 20;
  static void read(const uint8_t* p, BlockParts& out) {
    out.d = read16(p);
    out.m = read16(p + 2);
    readNibbles(p + 4, out.codes);
  }
};

template <>
struct GgufBlock<Q5_0> {
  static constexpr int kBytes = 22;
  static void read(const uint8_t* p, BlockParts& out) {
    out.d = read16(p);
    readNibbles(p + 6, out.codes);
    addFifthBits(p + 2, out.codes);
  }
};

template <>
struct GgufBlock<Q5_1> {
  static constexpr int kBytes = 24;
  static void read(const uint8_t* p, BlockParts& out) {
    out.d = read16(p);
    out.m = read16(p + 2);
    readNibbles(p + 8, out.codes);
    addFifthBits(p + 4, out.codes);
  }
};

template <>
struct GgufBlock<Q8_0> {
  static constexpr int kBytes = 34;
  static void read(const uint8_t* p, BlockParts& out) {
    out.d = read16(p);
    for (int i = 0; i < 32; ++i) out.codes[i] = p[2 + i] ^ 0x80;
  }
};

template <>
struct GgufBlock<Q2_K> {
  static constexpr int kBytes = 84;
  static void read(const uint8_t* p, BlockParts& out) {
    memcpy(out.sub, p, 16);
    readFields2(p + 16, out.codes);
    out.d = read16(p + 80);
    out.m = read16(p + 82);
  }
};

template <>
struct GgufBlock<Q3_K> {
  static constexpr int kBytes = 110;
  static void read(const uint8_t* p, BlockParts& out) {
    readFields2(p + 32, out.codes);
    addTopBits(p, 2, out.codes);
    const uint8_t* scales = p + 96;  // 16 of 6 bits: low nibbles in 8 bytes, then 2-bit tops in 4
    for (int j = 0; j < 16; ++j) {
      const int low = j < 8 ? scales[j] & 15 : scales[j - 8] >> 4;
      out.sub[j] = static_cast<uint8_t>((low | (scales[8 + j % 4] >> 2 * (j / 4) & 3) << 4) - 32);
    }
    out.d = read16(p + 108);
  }
};

template <>
struct GgufBlock<Q4_K> {
  static constexpr int kBytes = 144;
  static void read(const uint8_t* p, BlockParts& out) {
    out.d = read16(p);
    out.m = read16(p + 2);
    readScales6(p + 4, out.sub, out.min);
    readNibbleRuns(p + 16, out.codes);
  }
};

template <>
struct GgufBlock<Q5_K> {
  static constexpr int kBytes = 176;
  static void read(const uint8_t* p, BlockParts& out) {
    out.d = read16(p);
    out.m = read16(p + 2);
    readScales6(p + 4, out.sub, out.min);
    readNibbleRuns(p + 48, out.codes);
    addTopBits(p + 16, 4, out.codes);
  }
};

template <>
struct GgufBlock<Q6_K> {
  static constexpr int kBytes = 210;
  static void read(const uint8_t* p, BlockParts& out) {
    for (int run = 0; run < 8; ++run) {  // four runs of 32 columns share 64 bytes of low and 32 of high bits
      const uint8_t* low = p + 64 * (run / 4) + 32 * (run & 1);
      const uint8_t* high = p + 128 + 32 * (run / 4);
      const int lowShift = run % 4 < 2 ? 0 : 4, highShift = 2 * (run % 4);
      for (int i = 0; i < 32; ++i)
        out.codes[32 * run + i] = static_cast<uint8_t>((low[i] >> lowShift & 15) | (high[i] >> highShift & 3) << 4);
    }
    memcpy(out.sub, p + 192, 16);
    out.d = read16(p + 208);
  }
};

template <>
struct GgufBlock<IQ4_XS> {
  static constexpr int kBytes = 136;
  static void read(const uint8_t* p, BlockParts& out) {
    out.d = read16(p);
    const int high = read16(p + 2);
    for (int j = 0; j < 8; ++j) {
      out.sub[j] = static_cast<uint8_t>(((p[4 + j / 2] >> 4 * (j % 2) & 15) | (high >> 2 * j & 3) << 4) - 32);
      readNibbles(p + 8 + 16 * j, out.codes + 32 * j);
    }
  }
};

}  // namespace mistralrs::kernels
