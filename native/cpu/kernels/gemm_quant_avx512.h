// The quantized micro-kernel with AVX-512 VNNI: 16 weight rows are the lanes of a register, each quad is one vpdpbusd by four
// broadcast activations. Codes are unpacked once for a tile of N rows of activations.
// 32 columns of one row are 8 vpdpbusd and 2 or 3 float multiplies on the same two ports, and 9 or 10 broadcast loads on two others:
// at best 11 / 2 cycles for 512 products; measured 6.4 (Q4_1, Zen 5).
#pragma once
#include <string.h>

#include "cpu/kernels/quant_format.h"
#include "cpu/kernels/x86_intrinsics.h"

namespace mistralrs::kernels {

inline __m512i loadVector(const uint8_t* p) { return _mm512_loadu_si512(p); }

template <class F>
inline void unpackChunk(const uint8_t* planes, __m512i (&quad)[8]) {
  constexpr int kBits = F::kBits;
  static_assert(kBits == 2 || kBits == 3 || kBits == 4 || kBits == 5 || kBits == 6 || kBits == 8, "no planes for this width");
  const __m512i low4 = _mm512_set1_epi8(15), low2 = _mm512_set1_epi8(3);
  if constexpr (kBits == 8) {
    for (int j = 0; j < 8; ++j) quad[j] = loadVector(planes + 64 * j);
  }
  if constexpr (kBits >= 4 && kBits <= 6) {
    for (int v = 0; v < 4; ++v) {
      const __m512i both = loadVector(planes + 64 * v);
      quad[v] = _mm512_and_si512(both, low4);
      quad[v + 4] = _mm512_and_si512(_mm512_srli_epi16(both, 4), low4);
    }
  }
  if constexpr (kBits == 2 || kBits == 3) {
    for (int j = 0; j < 8; ++j) quad[j] = _mm512_and_si512(_mm512_srli_epi16(loadVector(planes + 64 * (j / 4)), 2 * (j & 3)), low2);
  }
  if constexpr (kBits == 6) {
    const __m512i top = _mm512_set1_epi8(0x30);
    for (int j = 0; j < 8; ++j) {
      const __m512i plane = loadVector(planes + 256 + 64 * (j / 4));
      const int n = 2 * (j & 3);
      const __m512i high = n < 4 ? _mm512_slli_epi16(plane, 4 - n) : _mm512_srli_epi16(plane, n - 4);
      quad[j] = _mm512_or_si512(quad[j], _mm512_and_si512(high, top));
    }
  }
  if constexpr (kBits == 3 || kBits == 5) {
    const __m512i plane = loadVector(planes + (kBits == 3 ? 128 : 256)), top = _mm512_set1_epi8(1 << (kBits - 1));
    for (int j = 0; j < 8; ++j) {
      const int up = kBits - 1 - j;
      const __m512i high = up >= 0 ? _mm512_slli_epi16(plane, up) : _mm512_srli_epi16(plane, -up);
      quad[j] = _mm512_or_si512(quad[j], _mm512_and_si512(high, top));
    }
  }
  if constexpr (F::kCodebook) {
    const __m512i book = _mm512_broadcast_i32x4(_mm_load_si128(reinterpret_cast<const __m128i*>(kIq4Codebook)));
    for (int j = 0; j < 8; ++j) quad[j] = _mm512_shuffle_epi8(book, quad[j]);
  }
}

inline __m512 loadHalves(const uint8_t* p) { return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p))); }
inline __m128i loadBytes(const uint8_t* p) { return _mm_loadu_si128(reinterpret_cast<const __m128i*>(p)); }

// Scales (and minima) of the groups of chunk `c`; d and m are those of the block.
template <class F>
inline void chunkScales(const uint8_t* block, int c, __m512 d, __m512 m, __m512 (&s)[2], __m512 (&min)[2]) {
  for (int g = 0; g < F::kGroupsOfChunk; ++g) {
    const int group = c * F::kGroupsOfChunk + g;
    if constexpr (F::kScale == kScalePlain) {
      s[g] = d;
      if constexpr (F::kMin) min[g] = m;
    } else if constexpr (F::kScale == kScaleSuper) {
      s[g] = _mm512_mul_ps(d, _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(loadBytes(block + F::kSubAt + 16 * group))));
      if constexpr (F::kMin)
        min[g] = _mm512_mul_ps(m, _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(loadBytes(block + F::kMinAt + 16 * group))));
    } else {
      const __m512i both = _mm512_cvtepu8_epi32(loadBytes(block + F::kSubAt + 16 * group));
      s[g] = _mm512_mul_ps(d, _mm512_cvtepi32_ps(_mm512_and_si512(both, _mm512_set1_epi32(15))));
      min[g] = _mm512_mul_ps(m, _mm512_cvtepi32_ps(_mm512_srli_epi32(both, 4)));
    }
  }
}

inline __m512i broadcastQuad(const int8_t* q) {
  int32_t four;
  memcpy(&four, q, 4);
  return _mm512_set1_epi32(four);
}

// Asks for the lines of chunk `c` a page ahead: weights are cold in the first tile of a call, and a panel is too short a stream
// for the hardware (T = 16: 147 -> 307 GMAC/s).
template <class F>
inline void prefetchChunk(const uint8_t* block, int c) {
  constexpr int kShare = F::kBlockBytes / F::kChunks;
  for (int at = 0; at < kShare + 63; at += 64)
    _mm_prefetch(reinterpret_cast<const char*>(block + c * kShare + 4096 + at), _MM_HINT_T0);
}

// N rows of activations, `stride` records from column block to column block, by one panel of `blocks` blocks.
template <class F, int N>
inline void multiplyTile(const uint8_t* block, int blocks, const QuantRecord* x, int64_t stride, float* out, int64_t outStride,
                         __mmask16 rows) {
  constexpr int kTogether = N < 4 ? N : 4;  // interleaved chains of dot products
  __m512 acc[N];
  for (int t = 0; t < N; ++t) acc[t] = _mm512_setzero_ps();
  for (; blocks > 0; --blocks, block += F::kBlockBytes) {
    const __m512 d = loadHalves(block);
    __m512 m = _mm512_setzero_ps();
    if constexpr (F::kMin) m = loadHalves(block + 32);
    if constexpr (F::kMin && F::kScale != kScalePlain) m = _mm512_sub_ps(_mm512_setzero_ps(), m);
#pragma GCC unroll 1
    for (int c = 0; c < F::kChunks; ++c, x += stride) {
      prefetchChunk<F>(block, c);
      __m512i w[8];
      unpackChunk<F>(block + F::kCodesAt + c * F::kChunkBytes, w);
      __m512 s[2], min[2];
      chunkScales<F>(block, c, d, m, s, min);
#pragma GCC unroll 16
      for (int t = 0; t < N; t += kTogether) {
        __m512 sum[kTogether];
#pragma GCC unroll 2
        for (int g = 0; g < F::kGroupsOfChunk; ++g) {
          constexpr int kQuads = F::kGroup / 4;
          __m512i dot[kTogether];
          for (int i = 0; i < kTogether; ++i) {
            const int32_t negativeSum = F::kGroup == 32 ? x[t + i].negativeSum32 : x[t + i].negativeSum16[g];
            dot[i] = F::kZeroShift > 0 ? _mm512_slli_epi32(_mm512_set1_epi32(negativeSum), F::kZeroShift) : _mm512_setzero_si512();
          }
#pragma GCC unroll 8
          for (int j = g * kQuads; j < (g + 1) * kQuads; ++j)
            for (int i = 0; i < kTogether; ++i) dot[i] = _mm512_dpbusd_epi32(dot[i], w[j], broadcastQuad(x[t + i].q + 4 * j));
          for (int i = 0; i < kTogether; ++i) {
            const __m512 value = _mm512_cvtepi32_ps(dot[i]);
            sum[i] = g == 0 ? _mm512_mul_ps(value, s[0]) : _mm512_fmadd_ps(value, s[g], sum[i]);
          }
        }
        for (int i = 0; i < kTogether; ++i) {
          acc[t + i] = _mm512_fmadd_ps(sum[i], _mm512_set1_ps(x[t + i].scale), acc[t + i]);
          if constexpr (F::kMin)
            for (int g = 0; g < F::kGroupsOfChunk; ++g) {
              const float scaledSum = F::kGroup == 32 ? x[t + i].scaledSum32 : x[t + i].scaledSum16[g];
              acc[t + i] = _mm512_fmadd_ps(min[g], _mm512_set1_ps(scaledSum), acc[t + i]);
            }
        }
      }
    }
  }
  for (int t = 0; t < N; ++t) _mm512_mask_storeu_ps(out + t * outStride, rows, acc[t]);
}

// One panel by one tile of `height` rows; the first `numRows` rows of the panel are written.
template <class F>
void multiplyPanel(const uint8_t* panel, int32_t cols, const QuantRecord* x, int height, float* out, int64_t outStride, int numRows) {
  const auto rows = static_cast<__mmask16>((1u << numRows) - 1);
  const int blocks = cols / F::kColumns;
  const int64_t stride = height;
  if (height == 16) return multiplyTile<F, 16>(panel, blocks, x, stride, out, outStride, rows);
  if (height & 8) multiplyTile<F, 8>(panel, blocks, x, stride, out, outStride, rows), x += 8, out += 8 * outStride;
  if (height & 4) multiplyTile<F, 4>(panel, blocks, x, stride, out, outStride, rows), x += 4, out += 4 * outStride;
  if (height & 2) multiplyTile<F, 2>(panel, blocks, x, stride, out, outStride, rows), x += 2, out += 2 * outStride;
  if (height & 1) multiplyTile<F, 1>(panel, blocks, x, stride, out, outStride, rows);
}

}  // namespace mistralrs::kernels
