// Activations as signed bytes, one scale for 32 columns: q = round(x * peak / max|x|), ties to even; finer than the 256 columns
// that llama.cpp scales together beside K-quants. The peak is 127 or 125, whichever rounds the block with less squared
// error: 5 % less over the types that llama.cpp rounds alike (bench/RESULTS.md).
//
// What there is one of for each block is worked out for kLanes blocks at once, in passes over the row that never wait for
// one another: 0.21 ns a column (Zen 5, AVX-512 and AVX2), as with peak 127 only and a block at a time.
#include "cpu/kernels/quantize_rows.h"

#include "cpu/kernels/quant_format.h"
#include "cpu/kernels/simd.h"

namespace mistralrs::kernels {
namespace {

using simd::F32;
using simd::kLanes;

constexpr int kVectors = kQuantBlock / kLanes;
constexpr int kMostBlocks = 128;  // of a pass
constexpr float kTiny = 1e-35f;   // the inverse of less overflows; such a block counts as zero

struct Block {
  F32 x[kVectors];
};

inline Block load(const float* x) {
  Block block;
  for (int v = 0; v < kVectors; ++v) block.x[v] = simd::load(x + v * kLanes);
  return block;
}

// round(x * factor), ties to even
#if defined(MISTRALRS_ISA_AVX512) || defined(MISTRALRS_ISA_AVX2)
inline __m256i roundToBytes(const Block& block, F32 factor) {
  const F32* x = block.x;
#if defined(MISTRALRS_ISA_AVX512)
  const __m128i low = _mm512_cvtepi32_epi8(_mm512_cvtps_epi32(simd::mul(x[0], factor)));
  const __m128i high = _mm512_cvtepi32_epi8(_mm512_cvtps_epi32(simd::mul(x[1], factor)));
  return _mm256_inserti128_si256(_mm256_castsi128_si256(low), high, 1);
#else
  __m256i q[4];
  for (int i = 0; i < 4; ++i) q[i] = _mm256_cvtps_epi32(simd::mul(x[i], factor));
  // The packs work within 128-bit lanes: fours of bytes come out as 0, 2, 4, 6, 1, 3, 5, 7.
  const __m256i bytes = _mm256_packs_epi16(_mm256_packs_epi32(q[0], q[1]), _mm256_packs_epi32(q[2], q[3]));
  return _mm256_permutevar8x32_epi32(bytes, _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7));
#endif
}

// Writes the bytes and gives the two sums over 16.
inline void roundBlock(const Block& block, float factor, int8_t* bytes, int32_t* sums) {
  const __m256i q = roundToBytes(block, simd::set1(factor));
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(bytes), q);
  // Sums of unsigned bytes are one instruction for eight: shift by 128, and back.
  __m256i eights = _mm256_sad_epu8(_mm256_xor_si256(q, _mm256_set1_epi8(-128)), _mm256_setzero_si256());
  eights = _mm256_add_epi32(eights, _mm256_shuffle_epi32(eights, 0x4e));
  sums[0] = _mm256_cvtsi256_si32(eights) - 16 * 128;
  sums[1] = _mm_cvtsi128_si32(_mm256_extracti128_si256(eights, 1)) - 16 * 128;
}
#else
inline void roundBlock(const Block& block, float factor, int8_t* bytes, int32_t* sums) {
  for (int half = 0; half < 2; ++half) {
    sums[half] = 0;
    for (int i = 0; i < 16; ++i) {
      const int column = 16 * half + i;
      const float steps = rintf(block.x[column / kLanes][column % kLanes] * factor);
      bytes[column] = steps == steps ? static_cast<int8_t>(steps) : 0;
      sums[half] += bytes[column];
    }
  }
}
#endif

// How far x * factor is from whole numbers.
inline F32 roundingError(F32 x, F32 factor) {
  const F32 steps = simd::mul(x, factor);
#if defined(MISTRALRS_ISA_AVX512)
  return _mm512_reduce_ps(steps, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
#else
  return simd::sub(steps, simd::round(steps));
#endif
}

// By lane, parts of the squared error with peak 125 less that with 127, up to a positive factor.
inline F32 excessOf125(const Block& block, float inverse) {
  const F32 fine = simd::set1(127 * inverse), coarse = simd::set1(125 * inverse), ratioOfSteps = simd::set1(127.f / 125);
  F32 excess = simd::zero();
  for (const F32& x : block.x) {
    const F32 a = roundingError(x, fine), b = simd::mul(roundingError(x, coarse), ratioOfSteps);
    excess = simd::fma(simd::sub(b, a), simd::add(b, a), excess);
  }
  return excess;
}

// The larger of two magnitudes by their bits, so that a NaN is larger than all and not lost.
inline F32 larger(F32 a, F32 b) {
#if defined(MISTRALRS_ISA_AVX512)
  return _mm512_castsi512_ps(_mm512_max_epi32(_mm512_castps_si512(a), _mm512_castps_si512(b)));
#elif defined(MISTRALRS_ISA_AVX2)
  return _mm256_castsi256_ps(_mm256_max_epi32(_mm256_castps_si256(a), _mm256_castps_si256(b)));
#else
  return reinterpret_cast<simd::I32>(a) < reinterpret_cast<simd::I32>(b) ? b : a;
#endif
}

inline F32 peakOf(const Block& block) {
  F32 peak = simd::abs(block.x[0]);
  for (int v = 1; v < kVectors; ++v) peak = larger(peak, simd::abs(block.x[v]));
  return peak;
}

// Runs op on vectors whose lane i is partial(block i) over all its lanes; beyond the last block they have zeros.
template <typename Partial, typename Reduce, typename Op>
inline void forBlocks(const float* x, int count, Partial partial, Reduce reduce, Op op) {
  for (int first = 0; first < count; first += kLanes) {
    F32 rows[kLanes];
    for (int i = 0; i < kLanes; ++i) {
      const int b = first + i;
      rows[i] = b < count ? partial(load(x + b * kQuantBlock), b) : simd::zero();
    }
    op(simd::reduceRows(rows, reduce), first);
  }
}

// Quantizes `count` <= kMostBlocks blocks; their records are `stride` apart.
inline void quantizeBlocks(const float* x, int count, QuantRecord* records, int stride) {
  float largest[kMostBlocks], inverse[kMostBlocks], factor[kMostBlocks], scale[kMostBlocks];
  const F32 tiny = simd::set1(kTiny), zero = simd::zero();
  forBlocks(x, count, [](const Block& block, int) { return peakOf(block); }, larger, [&](F32 peaks, int at) {
    simd::store(largest + at, peaks);
    simd::store(inverse + at, simd::selectLess(peaks, tiny, zero, simd::div(simd::set1(1), peaks)));
  });
  forBlocks(x, count, [&](const Block& block, int b) { return excessOf125(block, inverse[b]); }, simd::add, [&](F32 excess, int at) {
    const F32 peak = simd::selectLess(excess, zero, simd::set1(125), simd::set1(127)), size = simd::load(largest + at);
    simd::store(factor + at, simd::mul(peak, simd::load(inverse + at)));
    simd::store(scale + at, simd::selectLess(size, tiny, zero, simd::div(size, peak)));
  });
  for (int b = 0; b < count; ++b, records += stride) {
    int32_t sums[2];
    roundBlock(load(x + b * kQuantBlock), factor[b], records->q, sums);
    records->scale = scale[b];
    records->negativeSum16[0] = -sums[0];
    records->negativeSum16[1] = -sums[1];
    records->negativeSum32 = -sums[0] - sums[1];
    records->scaledSum16[0] = scale[b] * static_cast<float>(sums[0]);
    records->scaledSum16[1] = scale[b] * static_cast<float>(sums[1]);
    records->scaledSum32 = scale[b] * static_cast<float>(sums[0] + sums[1]);
    records->unused = 0;
  }
}

}  // namespace

int64_t quantRowsBytes(int32_t rows, int32_t cols) {
  return static_cast<int64_t>(rows) * (cols / kQuantBlock) * static_cast<int64_t>(sizeof(QuantRecord));
}

void quantizeRow(const float* x, const QuantRows* to, int32_t row) {
  const int32_t first = row - row % kTileRows, height = tileHeight(to->rows, first);
  QuantRecord* record = quantTile(to, first) + (row - first);
  for (int32_t column = 0; column < to->cols; column += kMostBlocks * kQuantBlock, record += kMostBlocks * height) {
    const int32_t left = (to->cols - column) / kQuantBlock;
    quantizeBlocks(x + column, left < kMostBlocks ? left : kMostBlocks, record, height);
  }
}

}  // namespace mistralrs::kernels
