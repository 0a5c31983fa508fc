// Bit planes of one chunk (16 rows x 32 columns; quant_format.h) in plain C++: what packPanel writes and the generic kernel reads.
#pragma once
#include "cpu/kernels/quant_format.h"

namespace mistralrs::kernels {

// Codes of a chunk, one in a byte: byte 4 r + i of quad j is row r, column 4 j + i.
struct Quads {
  alignas(64) uint8_t quad[8][64];
};

template <int kBits>
inline void packCodes(const Quads& codes, uint8_t* planes) {
  static_assert(kBits == 2 || kBits == 3 || kBits == 4 || kBits == 5 || kBits == 6 || kBits == 8, "no planes for this width");
  const auto& q = codes.quad;
  if constexpr (kBits == 8) {
    for (int j = 0; j < 8; ++j)
      for (int b = 0; b < 64; ++b) planes[64 * j + b] = q[j][b];
  }
  if constexpr (kBits >= 4 && kBits <= 6) {
    for (int v = 0; v < 4; ++v, planes += 64)
      for (int b = 0; b < 64; ++b) planes[b] = static_cast<uint8_t>((q[v][b] & 15) | (q[v + 4][b] & 15) << 4);
  }
  if constexpr (kBits == 2 || kBits == 3 || kBits == 6) {
    constexpr int kShift = kBits == 6 ? 4 : 0;
    for (int v = 0; v < 8; v += 4, planes += 64)
      for (int b = 0; b < 64; ++b) {
        int byte = 0;
        for (int n = 0; n < 4; ++n) byte |= (q[v + n][b] >> kShift & 3) << 2 * n;
        planes[b] = static_cast<uint8_t>(byte);
      }
  }
  if constexpr (kBits == 3 || kBits == 5) {
    for (int b = 0; b < 64; ++b) {
      int byte = 0;
      for (int n = 0; n < 8; ++n) byte |= (q[n][b] >> (kBits - 1) & 1) << n;
      planes[b] = static_cast<uint8_t>(byte);
    }
  }
}

template <int kBits>
inline void unpackCodes(const uint8_t* planes, Quads& codes) {
  for (int j = 0; j < 8; ++j)
    for (int b = 0; b < 64; ++b) {
      int code = 0;
      if constexpr (kBits == 8) code = planes[64 * j + b];
      if constexpr (kBits >= 4 && kBits <= 6) code = planes[64 * (j & 3) + b] >> (j < 4 ? 0 : 4) & 15;
      if constexpr (kBits == 2 || kBits == 3) code = planes[64 * (j / 4) + b] >> 2 * (j & 3) & 3;
      if constexpr (kBits == 6) code |= (planes[256 + 64 * (j / 4) + b] >> 2 * (j & 3) & 3) << 4;
      if constexpr (kBits == 3) code |= (planes[128 + b] >> j & 1) << 2;
      if constexpr (kBits == 5) code |= (planes[256 + b] >> j & 1) << 4;
      codes.quad[j][b] = static_cast<uint8_t>(code);
    }
}

}  // namespace mistralrs::kernels
