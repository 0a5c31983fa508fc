// The quantized micro-kernel with AVX2: 16 weight rows are two registers ("halves"), each quad is a vpmaddubsw by four broadcast
// activations. Integer sums stay exact: codes of up to 6 bits add several products in 16 bits (kRun) before they widen; bytes
// use |w| * (x with w's sign), whose pairs reach at most 2 * 128 * 127 < 2^15.
// 32 columns of one row are 16 vpmaddubsw and 8 other multiplies: at best 12 cycles for 512 products; measured 15 (Q4_1, Zen 5).
#pragma once
#include <string.h>

#include "cpu/kernels/quant_format.h"
#include "cpu/kernels/x86_intrinsics.h"

namespace mistralrs::kernels {

template <class F>
constexpr bool kSignedCodes = F::kBits == 8 || F::kCodebook;

inline __m256i loadVector(const uint8_t* p) { return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)); }

// Codes of rows [8 half, 8 half + 8) in quad j; signed ones with their zero point taken off.
template <class F>
inline __m256i unpackQuad(const uint8_t* planes, int j, int half) {
  constexpr int kBits = F::kBits;
  static_assert(kBits == 2 || kBits == 3 || kBits == 4 || kBits == 5 || kBits == 6 || kBits == 8, "no planes for this width");
  planes += 32 * half;
  const __m256i signBit = _mm256_set1_epi8(-128);
  if constexpr (kBits == 8) return _mm256_xor_si256(loadVector(planes + 64 * j), signBit);
  __m256i code;
  if constexpr (kBits >= 4) {
    const __m256i both = loadVector(planes + 64 * (j & 3));
    code = _mm256_and_si256(j < 4 ? both : _mm256_srli_epi16(both, 4), _mm256_set1_epi8(15));
  } else {
    code = _mm256_and_si256(_mm256_srli_epi16(loadVector(planes + 64 * (j / 4)), 2 * (j & 3)), _mm256_set1_epi8(3));
  }
  if constexpr (kBits == 6) {
    const __m256i plane = loadVector(planes + 256 + 64 * (j / 4));
    const int n = 2 * (j & 3);
    const __m256i high = n < 4 ? _mm256_slli_epi16(plane, 4 - n) : _mm256_srli_epi16(plane, n - 4);
    code = _mm256_or_si256(code, _mm256_and_si256(high, _mm256_set1_epi8(0x30)));
  }
  if constexpr (kBits == 3 || kBits == 5) {
    const __m256i plane = loadVector(planes + (kBits == 3 ? 128 : 256));
    const int up = kBits - 1 - j;
    const __m256i high = up >= 0 ? _mm256_slli_epi16(plane, up) : _mm256_srli_epi16(plane, -up);
    code = _mm256_or_si256(code, _mm256_and_si256(high, _mm256_set1_epi8(1 << (kBits - 1))));
  }
  if constexpr (F::kCodebook) {
    const __m128i book = _mm_load_si128(reinterpret_cast<const __m128i*>(kIq4Codebook));
    code = _mm256_shuffle_epi8(_mm256_xor_si256(_mm256_broadcastsi128_si256(book), signBit), code);
  }
  return code;
}

inline __m256 loadHalves(const uint8_t* p) { return _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))); }
inline __m128i loadBytes(const uint8_t* p) { return _mm_loadl_epi64(reinterpret_cast<const __m128i*>(p)); }

// Scales (and minima) of a chunk: [group][half].
struct ChunkScales {
  __m256 s[2][2], min[2][2];
};

template <class F>
inline void chunkScales(const uint8_t* block, int c, ChunkScales& to) {
  for (int half = 0; half < 2; ++half) {
    const __m256 d = loadHalves(block + 16 * half);
    __m256 m = _mm256_setzero_ps();
    if constexpr (F::kMin) m = loadHalves(block + 32 + 16 * half);
    if constexpr (F::kMin && F::kScale != kScalePlain) m = _mm256_sub_ps(_mm256_setzero_ps(), m);
    for (int g = 0; g < F::kGroupsOfChunk; ++g) {
      const int at = 16 * (c * F::kGroupsOfChunk + g) + 8 * half;
      if constexpr (F::kScale == kScalePlain) {
        to.s[g][half] = d;
        if constexpr (F::kMin) to.min[g][half] = m;
      } else if constexpr (F::kScale == kScaleSuper) {
        to.s[g][half] = _mm256_mul_ps(d, _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(loadBytes(block + F::kSubAt + at))));
        if constexpr (F::kMin)
          to.min[g][half] = _mm256_mul_ps(m, _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(loadBytes(block + F::kMinAt + at))));
      } else {
        const __m256i both = _mm256_cvtepu8_epi32(loadBytes(block + F::kSubAt + at));
        to.s[g][half] = _mm256_mul_ps(d, _mm256_cvtepi32_ps(_mm256_and_si256(both, _mm256_set1_epi32(15))));
        to.min[g][half] = _mm256_mul_ps(m, _mm256_cvtepi32_ps(_mm256_srli_epi32(both, 4)));
      }
    }
  }
}

inline __m256i broadcastQuad(const int8_t* q) {
  int32_t four;
  memcpy(&four, q, 4);
  return _mm256_set1_epi32(four);
}

// Keeps GCC from reassociating integer sums: it would compute all products first and spill them (Q4_1 97 instead of 138 GMAC/s).
inline void inOrder(__m256i& sum) { __asm__("" : "+x"(sum)); }

// Dot products of group `g` for N rows of activations: dot[t][half]. quad(j, half) gives the codes.
template <class F, int N, typename Quad>
inline void dotGroup(Quad quad, int g, const QuantRecord* x, __m256i (&dot)[N][2]) {
  constexpr int kQuads = F::kGroup / 4;
  const __m256i ones = _mm256_set1_epi16(1);
  if constexpr (kSignedCodes<F>) {
    for (int t = 0; t < N; ++t) dot[t][0] = dot[t][1] = _mm256_setzero_si256();
#pragma GCC unroll 8
    for (int j = g * kQuads; j < (g + 1) * kQuads; ++j) {
      const __m256i w[2] = {quad(j, 0), quad(j, 1)};
      const __m256i size[2] = {_mm256_abs_epi8(w[0]), _mm256_abs_epi8(w[1])};
#pragma GCC unroll 4
      for (int t = 0; t < N; ++t) {
        const __m256i four = broadcastQuad(x[t].q + 4 * j);
        for (int half = 0; half < 2; ++half) {
          const __m256i pairs = _mm256_maddubs_epi16(size[half], _mm256_sign_epi8(four, w[half]));
          dot[t][half] = _mm256_add_epi32(dot[t][half], _mm256_madd_epi16(pairs, ones));
          inOrder(dot[t][half]);
        }
      }
    }
  } else {
    constexpr int kFit = 32767 / (2 * 127 * ((1 << F::kBits) - 1));  // products that 16 bits can add up
    constexpr int kRun = kFit >= 8 ? 8 : kFit >= 4 ? 4 : 2;
    static_assert(kFit >= 2, "codes too wide for 16-bit sums");
    constexpr int kRuns = kQuads > kRun ? kQuads / kRun : 1;
    for (int run = 0; run < kRuns; ++run) {
      __m256i sum[N][2];
#pragma GCC unroll 8
      for (int i = 0; i < kQuads / kRuns; ++i) {
        const int j = g * kQuads + run * (kQuads / kRuns) + i;
        const __m256i w[2] = {quad(j, 0), quad(j, 1)};
#pragma GCC unroll 4
        for (int t = 0; t < N; ++t) {
          const __m256i four = broadcastQuad(x[t].q + 4 * j);
          for (int half = 0; half < 2; ++half) {
            const __m256i pairs = _mm256_maddubs_epi16(w[half], four);
            sum[t][half] = i == 0 ? pairs : _mm256_add_epi16(sum[t][half], pairs);
            inOrder(sum[t][half]);
          }
        }
      }
      for (int t = 0; t < N; ++t)
        for (int half = 0; half < 2; ++half) {
          const __m256i wide = _mm256_madd_epi16(sum[t][half], ones);
          dot[t][half] = run == 0 ? wide : _mm256_add_epi32(dot[t][half], wide);
        }
    }
    if constexpr (F::kZeroShift > 0)
      for (int t = 0; t < N; ++t) {
        const int32_t negativeSum = F::kGroup == 32 ? x[t].negativeSum32 : x[t].negativeSum16[g];
        const __m256i correction = _mm256_slli_epi32(_mm256_set1_epi32(negativeSum), F::kZeroShift);
        for (int half = 0; half < 2; ++half) dot[t][half] = _mm256_add_epi32(dot[t][half], correction);
      }
  }
}

// Adds one chunk to the results of N rows of activations.
template <class F, int N, typename Quad>
inline void multiplyChunk(Quad quad, const ChunkScales& scales, const QuantRecord* x, __m256 (*acc)[2]) {
  __m256 sum[N][2];
#pragma GCC unroll 2
  for (int g = 0; g < F::kGroupsOfChunk; ++g) {
    __m256i dot[N][2];
    dotGroup<F, N>(quad, g, x, dot);
    for (int t = 0; t < N; ++t)
      for (int half = 0; half < 2; ++half) {
        const __m256 value = _mm256_cvtepi32_ps(dot[t][half]);
        sum[t][half] = g == 0 ? _mm256_mul_ps(value, scales.s[0][half]) : _mm256_fmadd_ps(value, scales.s[g][half], sum[t][half]);
      }
  }
  for (int t = 0; t < N; ++t)
    for (int half = 0; half < 2; ++half) {
      __m256 result = _mm256_fmadd_ps(sum[t][half], _mm256_set1_ps(x[t].scale), acc[t][half]);
      if constexpr (F::kMin)
        for (int g = 0; g < F::kGroupsOfChunk; ++g) {
          const float scaledSum = F::kGroup == 32 ? x[t].scaledSum32 : x[t].scaledSum16[g];
          result = _mm256_fmadd_ps(scales.min[g][half], _mm256_set1_ps(scaledSum), result);
        }
      acc[t][half] = result;
    }
}

// Asks for the lines of chunk `c` a page ahead.
template <class F>
inline void prefetchChunk(const uint8_t* block, int c) {
  constexpr int kShare = F::kBlockBytes / F::kChunks;
  for (int at = 0; at < kShare + 63; at += 64)
    _mm_prefetch(reinterpret_cast<const char*>(block + c * kShare + 4096 + at), _MM_HINT_T0);
}

// Memory bound: codes go from the panel straight into the products.
template <class F>
inline void multiplyOne(const uint8_t* block, int blocks, const QuantRecord* x, __m256 (*acc)[2]) {
  for (; blocks > 0; --blocks, block += F::kBlockBytes)
#pragma GCC unroll 1
    for (int c = 0; c < F::kChunks; ++c, ++x) {
      prefetchChunk<F>(block, c);
      const uint8_t* planes = block + F::kCodesAt + c * F::kChunkBytes;
      ChunkScales scales;
      chunkScales<F>(block, c, scales);
      multiplyChunk<F, 1>([planes](int j, int half) { return unpackQuad<F>(planes, j, half); }, scales, x, acc);
    }
}

// Codes are unpacked once for the tile; its results stay in the first cache.
template <class F>
inline void multiplyTile(const uint8_t* block, int blocks, const QuantRecord* x, int height, __m256 (*acc)[2]) {
  for (; blocks > 0; --blocks, block += F::kBlockBytes)
    for (int c = 0; c < F::kChunks; ++c, x += height) {
      prefetchChunk<F>(block, c);
      const uint8_t* planes = block + F::kCodesAt + c * F::kChunkBytes;
      __m256i codes[8][2];
      for (int j = 0; j < 8; ++j)
        for (int half = 0; half < 2; ++half) codes[j][half] = unpackQuad<F>(planes, j, half);
      const auto quad = [&codes](int j, int half) { return codes[j][half]; };
      ChunkScales scales;
      chunkScales<F>(block, c, scales);
      int t = 0;
      for (; t + 4 <= height; t += 4) multiplyChunk<F, 4>(quad, scales, x + t, acc + t);
      if (height - t >= 2) multiplyChunk<F, 2>(quad, scales, x + t, acc + t), t += 2;
      if (height - t >= 1) multiplyChunk<F, 1>(quad, scales, x + t, acc + t);
    }
}

// One panel by one tile of `height` rows; the first `numRows` rows of the panel are written.
template <class F>
void multiplyPanel(const uint8_t* panel, int32_t cols, const QuantRecord* x, int height, float* out, int64_t outStride, int numRows) {
  __m256 acc[kTileRows][2];
  for (int t = 0; t < height; ++t) acc[t][0] = acc[t][1] = _mm256_setzero_ps();
  if (height == 1)
    multiplyOne<F>(panel, cols / F::kColumns, x, acc);
  else
    multiplyTile<F>(panel, cols / F::kColumns, x, height, acc);
  for (int t = 0; t < height; ++t) {
    if (numRows == kPanelRows) {
      _mm256_storeu_ps(out + t * outStride, acc[t][0]);
      _mm256_storeu_ps(out + t * outStride + 8, acc[t][1]);
    } else {
      float row[kPanelRows];
      memcpy(row, acc[t], sizeof row);
      for (int r = 0; r < numRows; ++r) out[t * outStride + r] = row[r];
    }
  }
}

}  // namespace mistralrs::kernels
