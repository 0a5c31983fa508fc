// Activations as signed bytes, one scale for 32 columns: q = round(x * 127 / max|x|), ties to even. The scale is finer than
// the 256 columns that llama.cpp uses beside K-quants.
#include "cpu/kernels/quantize_rows.h"

#include "cpu/kernels/quant_format.h"
#include "cpu/kernels/simd.h"

namespace mistralrs::kernels {
namespace {

using simd::F32;
using simd::kLanes;

// Writes round(x * inverse) and returns the two sums over 16.
#if defined(MISTRALRS_ISA_AVX512)
inline void roundToBytes(const F32* x, float inverse, QuantRecord* record, int32_t* sums) {
  for (int half = 0; half < 2; ++half) {
    const __m512i q = _mm512_cvtps_epi32(simd::mul(x[half], simd::set1(inverse)));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(record->q + 16 * half), _mm512_cvtepi32_epi8(q));
    sums[half] = _mm512_reduce_add_epi32(q);
  }
}
#elif defined(MISTRALRS_ISA_AVX2)
inline void roundToBytes(const F32* x, float inverse, QuantRecord* record, int32_t* sums) {
  for (int half = 0; half < 2; ++half) {
    const __m256i a = _mm256_cvtps_epi32(simd::mul(x[2 * half], simd::set1(inverse)));
    const __m256i b = _mm256_cvtps_epi32(simd::mul(x[2 * half + 1], simd::set1(inverse)));
    const __m256i words = _mm256_permute4x64_epi64(_mm256_packs_epi32(a, b), 0xd8);  // packs works within 128-bit lanes
    const __m128i bytes = _mm_packs_epi16(_mm256_castsi256_si128(words), _mm256_extracti128_si256(words, 1));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(record->q + 16 * half), bytes);
    const __m256i pairs = _mm256_madd_epi16(words, _mm256_set1_epi16(1));
    __m128i sum = _mm_add_epi32(_mm256_castsi256_si128(pairs), _mm256_extracti128_si256(pairs, 1));
    sum = _mm_add_epi32(sum, _mm_shuffle_epi32(sum, 0x4e));
    sums[half] = _mm_cvtsi128_si32(_mm_add_epi32(sum, _mm_shuffle_epi32(sum, 0xb1)));
  }
}
#else
inline void roundToBytes(const F32* x, float inverse, QuantRecord* record, int32_t* sums) {
  for (int half = 0; half < 2; ++half) {
    sums[half] = 0;
    for (int i = 0; i < 16; ++i) {
      const int column = 16 * half + i;
      const auto q = static_cast<int8_t>(rintf(x[column / kLanes][column % kLanes] * inverse));
      record->q[column] = q;
      sums[half] += q;
    }
  }
}
#endif

inline void quantizeBlock(const float* x, QuantRecord* record) {
  constexpr int kVectors = kQuantBlock / kLanes;
  F32 v[kVectors], peak = simd::zero();
  for (int i = 0; i < kVectors; ++i) {
    v[i] = simd::load(x + i * kLanes);
    peak = simd::max(peak, simd::abs(v[i]));
  }
  const float largest = simd::largest(peak);
  const bool nothing = largest < 1e-35f;  // 127 / largest would overflow
  const float scale = nothing ? 0 : largest / 127;
  int32_t sums[2];
  roundToBytes(v, nothing ? 0 : 127 / largest, record, sums);
  record->scale = scale;
  record->negativeSum16[0] = -sums[0];
  record->negativeSum16[1] = -sums[1];
  record->negativeSum32 = -sums[0] - sums[1];
  record->scaledSum16[0] = scale * static_cast<float>(sums[0]);
  record->scaledSum16[1] = scale * static_cast<float>(sums[1]);
  record->scaledSum32 = scale * static_cast<float>(sums[0] + sums[1]);
  record->unused = 0;
}

}  // namespace

int64_t quantRowsBytes(int32_t rows, int32_t cols) {
  return static_cast<int64_t>(rows) * (cols / kQuantBlock) * static_cast<int64_t>(sizeof(QuantRecord));
}

void quantizeRow(const float* x, const QuantRows* to, int32_t row) {
  const int32_t first = row - row % kTileRows, height = tileHeight(to->rows, first);
  QuantRecord* record = quantTile(to, first) + (row - first);
  for (int32_t column = 0; column < to->cols; column += kQuantBlock, record += height) quantizeBlock(x + column, record);
}

}  // namespace mistralrs::kernels
