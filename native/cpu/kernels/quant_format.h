// The packed layout of quantized weights and activations, the same in every variant.
//
// All types are w = s * (u - z) + m with unsigned codes u of 2..8 bits. A panel holds 16 rows, column block after column
// block; a block is 32 columns, or 256 for the K-quants and IQ4_XS:
//
//   d     [16]      f16      scale, or super-scale
//   m     [16]      f16      minimum (kMin types: w = s * u + m; K-quants store -dmin's magnitude)
//   sub   [G][16]   i8       sub-scales of the G groups (K-quants); Q2_K: scale | min << 4
//   min   [G][16]   u8       sub-minima (Q4_K, Q5_K)
//   codes [1 or 8][bits * 64 bytes]    one chunk for each 32 columns
//
// The codes of a chunk are bit planes over eight 64-byte "quads": byte 4 r + i of quad j is row r, column 4 j + i, so that a
// dot-product instruction over groups of four bytes gives one sum for each row.
//
//   8 bits            quad j at 64 j
//   4 bits            4 vectors: vector v = quad v | quad (v + 4) << 4           (types of 4, 5 and 6 bits: low bits)
//   2 bits            2 vectors: vector v = quads 4 v + n << 2 n, n = 0..3       (2 and 3: low bits; 6: bits 4 and 5)
//   1 bit             1 vector: quads n << n, n = 0..7                           (3: bit 2; 5: bit 4)
//
// Planes follow each other, low bits first. A panel is about as large as the rows in GGUF: decoding is bound by reading it.
#pragma once
#include <stdint.h>

#include "cpu/kernels.h"

namespace mistralrs::kernels {

enum ScaleKind {
  kScalePlain,     // d (m) for each 32 columns
  kScaleSuper,     // d * sub (m * min) in blocks of 256
  kScaleNibbles,   // the same, sub and min in one byte
};

// What the kernels know of a type. `zeroShift`: codes are centred at 1 << zeroShift; 0: not at all.
template <int kType_, int kBits_, int kGroup_, ScaleKind kScale_, bool kMin_, int kZeroShift_, bool kCodebook_ = false>
struct Format {
  static constexpr int kType = kType_, kBits = kBits_, kGroup = kGroup_, kZeroShift = kZeroShift_;
  static constexpr ScaleKind kScale = kScale_;
  static constexpr bool kMin = kMin_, kCodebook = kCodebook_;
  static constexpr int kColumns = kScale == kScalePlain ? 32 : 256;
  static constexpr int kChunks = kColumns / 32;
  static constexpr int kGroups = kColumns / kGroup;         // groups of a block
  static constexpr int kGroupsOfChunk = 32 / kGroup;
  static constexpr int kSubAt = 32 + (kMin ? 32 : 0);       // byte offsets in a block
  static constexpr int kMinAt = kSubAt + (kScale == kScalePlain ? 0 : 16 * kGroups);
  static constexpr int kCodesAt = kMinAt + (kScale == kScaleSuper && kMin ? 16 * kGroups : 0);
  static constexpr int kChunkBytes = kBits * 64;
  static constexpr int kBlockBytes = kCodesAt + kChunks * kChunkBytes;
  static_assert(kGroup == 16 || kGroup == 32, "the kernels know groups of 16 and 32 columns");
};

// Numbers are ggml's type ids (plan/weights.h DType).
using Q4_0 = Format<2, 4, 32, kScalePlain, false, 3>;
using Q4_1 = Format<3, 4, 32, kScalePlain, true, 0>;
using Q5_0 = Format<6, 5, 32, kScalePlain, false, 4>;
using Q5_1 = Format<7, 5, 32, kScalePlain, true, 0>;
using Q8_0 = Format<8, 8, 32, kScalePlain, false, 7>;
using Q2_K = Format<10, 2, 16, kScaleNibbles, true, 0>;
using Q3_K = Format<11, 3, 16, kScaleSuper, false, 2>;
using Q4_K = Format<12, 4, 32, kScaleSuper, true, 0>;
using Q5_K = Format<13, 5, 32, kScaleSuper, true, 0>;
using Q6_K = Format<14, 6, 16, kScaleSuper, false, 5>;
using IQ4_NL = Format<20, 4, 32, kScalePlain, false, 7, true>;
using IQ4_XS = Format<23, 4, 32, kScaleSuper, false, 7, true>;

// Calls fn(Format{}) for a quantized type; false when `type` is not one.
template <typename Fn>
inline bool withFormat(int32_t type, Fn&& fn) {
  switch (type) {
    case Q4_0::kType: fn(Q4_0{}); return true;
    case Q4_1::kType: fn(Q4_1{}); return true;
    case Q5_0::kType: fn(Q5_0{}); return true;
    case Q5_1::kType: fn(Q5_1{}); return true;
    case Q8_0::kType: fn(Q8_0{}); return true;
    case Q2_K::kType: fn(Q2_K{}); return true;
    case Q3_K::kType: fn(Q3_K{}); return true;
    case Q4_K::kType: fn(Q4_K{}); return true;
    case Q5_K::kType: fn(Q5_K{}); return true;
    case Q6_K::kType: fn(Q6_K{}); return true;
    case IQ4_NL::kType: fn(IQ4_NL{}); return true;
    case IQ4_XS::kType: fn(IQ4_XS{}); return true;
    default: return false;
  }
}

// IQ4's 16 values, shifted by 128 to be unsigned. Source: ggml's kvalues_iq4nl.
alignas(16) constexpr uint8_t kIq4Codebook[16] = {1, 24, 45, 63, 79, 93, 106, 118, 129, 141, 153, 166, 181, 197, 217, 241};

// 32 columns of one activation row: x ~ q * scale, with the sums that correct zero points (exactly) and add minima.
struct QuantRecord {
  int8_t q[32];
  float scale;
  int32_t negativeSum16[2];  // of q[0..16), q[16..32)
  int32_t negativeSum32;
  float scaledSum16[2];      // scale * sum
  float scaledSum32;
  int32_t unused;
};
static_assert(sizeof(QuantRecord) == 64, "a record is a cache line");

// Activation rows lie in tiles of 16 (the last one shorter): records [column / 32][row of the tile].
enum { kTileRows = 16 };

inline int tileHeight(int32_t rows, int32_t firstRow) { return rows - firstRow < kTileRows ? rows - firstRow : kTileRows; }

inline QuantRecord* quantTile(const QuantRows* x, int32_t firstRow) {
  return reinterpret_cast<QuantRecord*>(x->data) + static_cast<int64_t>(firstRow) * (x->cols / kQuantBlock);
}

}  // namespace mistralrs::kernels
