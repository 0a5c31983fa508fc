// Dequantization of every stored type, one block at a time and as plainly as possible: the oracle for packers and kernels.
// Source of the layouts: ggml-common.h and ggml-quants.c of ggml (dequantize_row_*). Results are equal bit for bit.
#include <cstring>

#include "cpu/kernels/half.h"
#include "plan/error.h"
#include "plan/weights.h"

namespace mistralrs {
namespace {

uint16_t u16(const uint8_t* p) { return static_cast<uint16_t>(p[0] | p[1] << 8); }
float half(const uint8_t* p) { return halfToFloat(u16(p)); }

// The non-linear code book of IQ4.
constexpr int8_t kIq4Values[16] = {-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};

// Blocks of 32: d, [m], [32 fifth bits], 16 bytes of nibbles; byte i holds columns i (low) and i + 16 (high).
template <bool kHasMin, bool kFiveBits>
void dequantizeNibbles(const uint8_t* p, float* out) {
  const float d = half(p);
  const float m = kHasMin ? half(p + 2) : 0;
  p += kHasMin ? 4 : 2;
  const uint8_t* fifth = p;
  if (kFiveBits) p += 4;
  for (int i = 0; i < 32; ++i) {
    int q = i < 16 ? p[i] & 15 : p[i - 16] >> 4;
    if (kFiveBits) q |= (fifth[i / 8] >> i % 8 & 1) << 4;
    if (kHasMin) {
      out[i] = static_cast<float>(q) * d + m;
    } else {
      out[i] = static_cast<float>(q - (kFiveBits ? 16 : 8)) * d;
    }
  }
}

void dequantizeQ8_0(const uint8_t* p, float* out) {
  const float d = half(p);
  for (int i = 0; i < 32; ++i) out[i] = static_cast<float>(static_cast<int8_t>(p[2 + i])) * d;
}

void dequantizeIQ4_NL(const uint8_t* p, float* out) {
  const float d = half(p);
  for (int i = 0; i < 16; ++i) {
    out[i] = d * kIq4Values[p[2 + i] & 15];
    out[i + 16] = d * kIq4Values[p[2 + i] >> 4];
  }
}

// ---- super-blocks of 256 ----

// 2-bit codes: 64 bytes in two runs of 32, each byte four columns 32 apart.
int code2(const uint8_t* p, int i) { return p[32 * (i / 128) + i % 32] >> 2 * (i / 32 % 4) & 3; }
// 4-bit codes: 128 bytes in four runs of 32, each byte two columns 32 apart.
int code4(const uint8_t* p, int i) { return p[32 * (i / 64) + i % 32] >> 4 * (i / 32 % 2) & 15; }
// High bits: 32 bytes, bit i / 32 of byte i % 32.
int highBit(const uint8_t* p, int i) { return p[i % 32] >> i / 32 & 1; }

// scales[16] (4-bit scale, 4-bit min), codes[64], d, dmin
void dequantizeQ2_K(const uint8_t* p, float* out) {
  const float d = half(p + 80), dmin = half(p + 82);
  for (int i = 0; i < 256; ++i) {
    const int sub = p[i / 16];
    const float dl = d * static_cast<float>(sub & 15), ml = dmin * static_cast<float>(sub >> 4);
    out[i] = dl * static_cast<float>(code2(p + 16, i)) - ml;
  }
}

// high bits[32], codes[64], scales[12] (16 of 6 bits), d
void dequantizeQ3_K(const uint8_t* p, float* out) {
  const uint8_t* scales = p + 96;
  const float d = half(p + 108);
  for (int i = 0; i < 256; ++i) {
    const int j = i / 16;
    const int low = j < 8 ? scales[j] & 15 : scales[j - 8] >> 4;
    const int high = scales[8 + j % 4] >> 2 * (j / 4) & 3;
    const float dl = d * static_cast<float>((low | high << 4) - 32);
    out[i] = dl * static_cast<float>(code2(p + 32, i) - (highBit(p, i) ? 0 : 4));
  }
}

// The 6-bit scale and minimum of sub-block j of Q4_K and Q5_K, from 12 bytes.
void subScale(const uint8_t* s, int j, int& scale, int& min) {
  if (j < 4) {
    scale = s[j] & 63;
    min = s[j + 4] & 63;
  } else {
    scale = (s[j + 4] & 15) | s[j - 4] >> 6 << 4;
    min = s[j + 4] >> 4 | s[j] >> 6 << 4;
  }
}

// d, dmin, scales[12], [high bits[32]], codes[128]
template <bool kFiveBits>
void dequantizeQ45_K(const uint8_t* p, float* out) {
  const float d = half(p), dmin = half(p + 2);
  const uint8_t* codes = p + (kFiveBits ? 48 : 16);
  for (int i = 0; i < 256; ++i) {
    int scale, min;
    subScale(p + 4, i / 32, scale, min);
    const float dl = d * static_cast<float>(scale), ml = dmin * static_cast<float>(min);
    const int q = code4(codes, i) + (kFiveBits ? highBit(p + 16, i) << 4 : 0);
    out[i] = dl * static_cast<float>(q) - ml;
  }
}

// low nibbles[128] (two runs of 64 bytes, columns 64 apart), high pairs[64], scales[16], d
void dequantizeQ6_K(const uint8_t* p, float* out) {
  const float d = half(p + 208);
  for (int i = 0; i < 256; ++i) {
    const int low = p[64 * (i / 128) + i % 64] >> 4 * (i / 64 % 2) & 15;
    const float dl = d * static_cast<float>(static_cast<int8_t>(p[192 + i / 16]));
    out[i] = dl * static_cast<float>((low | code2(p + 128, i) << 4) - 32);
  }
}

// d, high scale bits[2], low scale nibbles[4], codes[128] (16 bytes for each 32 columns)
void dequantizeIQ4_XS(const uint8_t* p, float* out) {
  const float d = half(p);
  const int high = u16(p + 2);
  for (int j = 0; j < 8; ++j) {
    const int scale = (p[4 + j / 2] >> 4 * (j % 2) & 15) | (high >> 2 * j & 3) << 4;
    const float dl = d * static_cast<float>(scale - 32);
    for (int i = 0; i < 16; ++i) {
      const uint8_t byte = p[8 + 16 * j + i];
      out[32 * j + i] = dl * kIq4Values[byte & 15];
      out[32 * j + i + 16] = dl * kIq4Values[byte >> 4];
    }
  }
}

using BlockFn = void (*)(const uint8_t*, float*);

BlockFn blockFn(DType type) {
  switch (type) {
    case DType::kQ4_0: return dequantizeNibbles<false, false>;
    case DType::kQ4_1: return dequantizeNibbles<true, false>;
    case DType::kQ5_0: return dequantizeNibbles<false, true>;
    case DType::kQ5_1: return dequantizeNibbles<true, true>;
    case DType::kQ8_0: return dequantizeQ8_0;
    case DType::kQ2_K: return dequantizeQ2_K;
    case DType::kQ3_K: return dequantizeQ3_K;
    case DType::kQ4_K: return dequantizeQ45_K<false>;
    case DType::kQ5_K: return dequantizeQ45_K<true>;
    case DType::kQ6_K: return dequantizeQ6_K;
    case DType::kIQ4_NL: return dequantizeIQ4_NL;
    case DType::kIQ4_XS: return dequantizeIQ4_XS;
    default: return nullptr;
  }
}

bool finite16(const uint8_t* p) { return (u16(p) & 0x7c00) != 0x7c00; }

}  // namespace

void dequantizeRow(DType type, const void* blocks, int64_t cols, float* out) {
  const auto* p = static_cast<const uint8_t*>(blocks);
  if (type == DType::kF32) {
    std::memcpy(out, p, static_cast<size_t>(cols) * 4);
  } else if (type == DType::kF16) {
    for (int64_t i = 0; i < cols; ++i) out[i] = half(p + 2 * i);
  } else if (type == DType::kBF16) {
    for (int64_t i = 0; i < cols; ++i) out[i] = bf16ToFloat(u16(p + 2 * i));
  } else {
    const BlockFn dequantize = blockFn(type);
    const DTypeInfo& t = info(type);
    for (int64_t i = 0; i < cols; i += t.blockElements, p += t.blockBytes) dequantize(p, out + i);
  }
}

bool checkFinite(DType type, const void* blocks, int64_t cols) {
  const auto* p = static_cast<const uint8_t*>(blocks);
  bool ok = true;  // no early exit: the loops over floats vectorize
  switch (type) {
    case DType::kF32:
      for (int64_t i = 0; i < cols; ++i) {
        uint32_t bits;
        std::memcpy(&bits, p + 4 * i, 4);
        ok &= (bits & 0x7f800000) != 0x7f800000;
      }
      return ok;
    case DType::kBF16:
      for (int64_t i = 0; i < cols; ++i) ok &= (u16(p + 2 * i) & 0x7f80) != 0x7f80;
      return ok;
    case DType::kF16:
      for (int64_t i = 0; i < cols; ++i) ok &= finite16(p + 2 * i);
      return ok;
    default: break;
  }
  // Offsets of a block's float16 fields; the second is -1 where there is one only.
  int first = 0, second = -1;
  switch (type) {
    case DType::kQ4_1: case DType::kQ5_1: case DType::kQ4_K: case DType::kQ5_K: second = 2; break;
    case DType::kQ2_K: first = 80; second = 82; break;
    case DType::kQ3_K: first = 108; break;
    case DType::kQ6_K: first = 208; break;
    default: break;
  }
  const DTypeInfo& t = info(type);
  for (int64_t i = 0; i < cols; i += t.blockElements, p += t.blockBytes) {
    ok &= finite16(p + first);
    if (second >= 0) ok &= finite16(p + second);
  }
  return ok;
}

}  // namespace mistralrs
