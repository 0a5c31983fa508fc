// The quantized micro-kernel in plain C++: the oracle of the others.
#pragma once
#include "cpu/kernels/chunk_codes.h"
#include "cpu/kernels/half.h"

namespace mistralrs::kernels {

// Scales (and minima) of the groups of chunk `c`: w = s * (u - z) + min.
template <class F>
inline void chunkScales(const uint8_t* block, int c, float (&s)[2][16], float (&min)[2][16]) {
  for (int g = 0; g < F::kGroupsOfChunk; ++g)
    for (int r = 0; r < kPanelRows; ++r) {
      const auto half = [&](int at) { return halfToFloat(static_cast<uint16_t>(block[at + 2 * r] | block[at + 2 * r + 1] << 8)); };
      const float d = half(0), m = F::kMin ? half(32) : 0;
      const int at = 16 * (c * F::kGroupsOfChunk + g) + r;
      if constexpr (F::kScale == kScalePlain) {
        s[g][r] = d;
        min[g][r] = m;
      } else if constexpr (F::kScale == kScaleSuper) {
        s[g][r] = d * static_cast<float>(static_cast<int8_t>(block[F::kSubAt + at]));
        min[g][r] = F::kMin ? -m * static_cast<float>(block[F::kMinAt + at]) : 0;
      } else {
        s[g][r] = d * static_cast<float>(block[F::kSubAt + at] & 15);
        min[g][r] = -m * static_cast<float>(block[F::kSubAt + at] >> 4);
      }
    }
}

// One panel by one tile of `height` rows; the first `numRows` rows of the panel are written.
template <class F>
void multiplyPanel(const uint8_t* panel, int32_t cols, const QuantRecord* x, int height, float* out, int64_t outStride, int numRows) {
  float acc[kTileRows][kPanelRows] = {};
  for (int block = 0; block < cols / F::kColumns; ++block, panel += F::kBlockBytes)
    for (int c = 0; c < F::kChunks; ++c, x += height) {
      Quads w;
      unpackCodes<F::kBits>(panel + F::kCodesAt + c * F::kChunkBytes, w);
      if constexpr (F::kCodebook)
        for (auto& quad : w.quad)
          for (uint8_t& code : quad) code = kIq4Codebook[code];
      float s[2][16], min[2][16];
      chunkScales<F>(panel, c, s, min);
      for (int t = 0; t < height; ++t)
        for (int g = 0; g < F::kGroupsOfChunk; ++g) {
          const int32_t negativeSum = F::kGroup == 32 ? x[t].negativeSum32 : x[t].negativeSum16[g];
          const float scaledSum = F::kGroup == 32 ? x[t].scaledSum32 : x[t].scaledSum16[g];
          int32_t dot[kPanelRows];
          for (int r = 0; r < kPanelRows; ++r) dot[r] = F::kZeroShift > 0 ? negativeSum * (1 << F::kZeroShift) : 0;
          for (int j = g * F::kGroup / 4; j < (g + 1) * F::kGroup / 4; ++j)
            for (int r = 0; r < kPanelRows; ++r)
              for (int i = 0; i < 4; ++i) dot[r] += w.quad[j][4 * r + i] * x[t].q[4 * j + i];
          for (int r = 0; r < kPanelRows; ++r) {
            acc[t][r] += static_cast<float>(dot[r]) * s[g][r] * x[t].scale;
            if (F::kMin) acc[t][r] += min[g][r] * scaledSum;
          }
        }
    }
  for (int t = 0; t < height; ++t)
    for (int r = 0; r < numRows; ++r) out[t * outStride + r] = acc[t][r];
}

}  // namespace mistralrs::kernels
