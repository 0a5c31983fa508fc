// In-situ quantization to GGUF blocks. Q8_0 takes the scale from the largest value; the others search for the scale (and
// minimum) with the least weighted square error, as ggml-quants.c does (make_qx_quants, make_qkx2_quants): try inverse scales
// around the obvious one, solve least squares for the codes each gives, keep the best.
#include <algorithm>
#include <cmath>
#include <cstring>

#include "cpu/kernels/simd_generic.h"
#include "plan/error.h"
#include "plan/weights.h"

namespace mistralrs {
namespace {

using simd::F32;  // four floats, on any machine
using simd::kLanes;

// Nearest integer in [low, high], ties to even, for |x| < 2^22.
inline F32 nearestIn(F32 x, F32 low, F32 high) {
  const F32 magic = simd::set1(12582912);
  return simd::min(simd::max((x + magic) - magic, low), high);
}
inline float nearestIn(float x, float low, float high) { return std::min(std::max((x + 12582912.0f) - 12582912.0f, low), high); }

void writeHalf(uint8_t* to, float x) {
  const uint16_t half = floatToHalf(x);
  std::memcpy(to, &half, 2);
}
float roundedToHalf(float x) { return halfToFloat(floatToHalf(x)); }

// Scale d for x ~ d * l with integers -n <= l < n, errors weighted by x^2. Positive or negative: the code -n has the larger reach.
float symmetricScale(const float* x, int count, int n) {
  float largest = 0;
  for (int i = 0; i < count; ++i)
    if (std::fabs(x[i]) > std::fabs(largest)) largest = x[i];
  if (std::fabs(largest) < 1e-30f) return 0;
  const F32 low = simd::set1(static_cast<float>(-n)), high = simd::set1(static_cast<float>(n - 1));
  float best = 0, bestGain = 0;
  for (int step = -9; step <= 9; ++step) {
    const F32 inverse = simd::set1((static_cast<float>(-n) + 0.1f * static_cast<float>(step)) / largest);
    F32 products = simd::zero(), squares = simd::zero();
    for (int i = 0; i < count; i += kLanes) {
      const F32 value = simd::load(x + i), code = nearestIn(value * inverse, low, high), weighted = value * value * code;
      products += weighted * value;
      squares += weighted * code;
    }
    const float product = simd::sum(products), square = simd::sum(squares);
    if (square > 0 && product * product > bestGain * square) {  // the error falls by product^2 / square
      bestGain = product * product / square;
      best = product / square;
    }
  }
  return best;
}

struct Affine {
  float scale = 0, min = 0;  // x ~ scale * l - min, both not negative
};

// For 32 values and codes 0..15, errors weighted by rms(x) + |x|.
Affine affineScale(const float* x) {
  constexpr int kCount = 32;
  float weights[kCount], low = 0, high = x[0], squares = 0;
  for (int i = 0; i < kCount; ++i) {
    low = std::min(low, x[i]);
    high = std::max(high, x[i]);
    squares += x[i] * x[i];
  }
  if (high - low < 1e-30f) return {0, -low};
  const float rms = std::sqrt(squares / kCount);
  float sumW = 0, sumX = 0;
  for (int i = 0; i < kCount; ++i) {
    weights[i] = rms + std::fabs(x[i]);
    sumW += weights[i];
    sumX += weights[i] * x[i];
  }
  Affine best{(high - low) / 15, -low};
  float bestError = INFINITY;
  for (int step = -1; step <= 20; ++step) {  // -1: the plain range
    const F32 min = simd::set1(-best.min);
    const F32 inverse = simd::set1((step < 0 ? 15 : 14 + 0.1f * static_cast<float>(step)) / (high + best.min));
    F32 codes = simd::zero(), codeSquares = simd::zero(), products = simd::zero();
    for (int i = 0; i < kCount; i += kLanes) {
      const F32 value = simd::load(x + i), code = nearestIn((value - min) * inverse, simd::zero(), simd::set1(15));
      const F32 weighted = simd::load(weights + i) * code;
      codes += weighted;
      codeSquares += weighted * code;
      products += weighted * value;
    }
    const float sumL = simd::sum(codes), sumL2 = simd::sum(codeSquares), sumXL = simd::sum(products);
    const float determinant = sumW * sumL2 - sumL * sumL;
    if (determinant <= 0) continue;
    float scale = (sumW * sumXL - sumX * sumL) / determinant, offset = (sumL2 * sumX - sumL * sumXL) / determinant;
    if (offset > 0) {  // minima are stored without sign
      offset = 0;
      scale = sumXL / sumL2;
    }
    // Sum of weight * (scale * l + offset - x)^2, without the constant part.
    const float error = scale * (scale * sumL2 + 2 * offset * sumL - 2 * sumXL) + offset * (offset * sumW - 2 * sumX);
    if (scale > 0 && error < bestError) {
      bestError = error;
      best = {scale, -offset};
    }
  }
  return best;
}

void quantizeQ8_0(const float* x, uint8_t* block) {
  float largest = 0;
  for (int i = 0; i < 32; ++i) largest = std::max(largest, std::fabs(x[i]));
  writeHalf(block, largest / 127);
  const float d = roundedToHalf(largest / 127), inverse = d > 0 ? 1 / d : 0;
  for (int i = 0; i < 32; ++i) block[2 + i] = static_cast<uint8_t>(static_cast<int8_t>(nearestIn(x[i] * inverse, -127, 127)));
}

void quantizeQ5_0(const float* x, uint8_t* block) {
  const float scale = symmetricScale(x, 32, 16), d = roundedToHalf(scale), inverse = d != 0 ? 1 / d : 0;
  writeHalf(block, scale);
  uint32_t fifthBits = 0;
  std::memset(block + 6, 0, 16);
  for (int i = 0; i < 32; ++i) {
    const auto code = static_cast<uint32_t>(nearestIn(x[i] * inverse, -16, 15) + 16);
    block[6 + i % 16] = static_cast<uint8_t>(block[6 + i % 16] | (code & 15) << (i < 16 ? 0 : 4));
    fifthBits |= (code >> 4) << i;
  }
  for (int i = 0; i < 4; ++i) block[2 + i] = static_cast<uint8_t>(fifthBits >> 8 * i);
}

void quantizeQ4_K(const float* x, uint8_t* block) {
  Affine parts[8];
  float maxScale = 0, maxMin = 0;
  for (int j = 0; j < 8; ++j) {
    parts[j] = affineScale(x + 32 * j);
    maxScale = std::max(maxScale, parts[j].scale);
    maxMin = std::max(maxMin, parts[j].min);
  }
  writeHalf(block, maxScale / 63);
  writeHalf(block + 2, maxMin / 63);
  const float d = roundedToHalf(maxScale / 63), dmin = roundedToHalf(maxMin / 63);
  uint8_t* const scales = block + 4;
  uint8_t* const codes = block + 16;
  std::memset(scales, 0, 12 + 128);
  for (int j = 0; j < 8; ++j) {
    const int sub = d > 0 ? static_cast<int>(nearestIn(parts[j].scale / d, 0, 63)) : 0;
    const int min = dmin > 0 ? static_cast<int>(nearestIn(parts[j].min / dmin, 0, 63)) : 0;
    if (j < 4) {
      scales[j] = static_cast<uint8_t>(scales[j] | sub);
      scales[j + 4] = static_cast<uint8_t>(scales[j + 4] | min);
    } else {
      scales[j + 4] = static_cast<uint8_t>((sub & 15) | (min & 15) << 4);
      scales[j - 4] = static_cast<uint8_t>(scales[j - 4] | sub >> 4 << 6);
      scales[j] = static_cast<uint8_t>(scales[j] | min >> 4 << 6);
    }
    const float scale = d * static_cast<float>(sub), offset = dmin * static_cast<float>(min), inverse = scale > 0 ? 1 / scale : 0;
    for (int i = 0; i < 32; ++i) {
      const auto code = static_cast<int>(nearestIn((x[32 * j + i] + offset) * inverse, 0, 15));
      uint8_t& byte = codes[j / 2 * 32 + i];
      byte = static_cast<uint8_t>(byte | code << (j % 2 == 0 ? 0 : 4));
    }
  }
}

void quantizeQ6_K(const float* x, uint8_t* block) {
  float parts[16], widest = 0;
  for (int j = 0; j < 16; ++j) {
    parts[j] = symmetricScale(x + 16 * j, 16, 32);
    if (std::fabs(parts[j]) > std::fabs(widest)) widest = parts[j];
  }
  std::memset(block, 0, 210);
  writeHalf(block + 208, widest / -128);
  const float d = roundedToHalf(widest / -128);
  if (d == 0) return;
  for (int j = 0; j < 16; ++j) {
    const auto sub = static_cast<int8_t>(nearestIn(parts[j] / d, -128, 127));
    block[192 + j] = static_cast<uint8_t>(sub);
    const float scale = d * static_cast<float>(sub), inverse = scale != 0 ? 1 / scale : 0;
    for (int i = 16 * j; i < 16 * j + 16; ++i) {
      const auto code = static_cast<int>(nearestIn(x[i] * inverse, -32, 31)) + 32;
      // Four runs of 32 columns share 64 bytes of low nibbles and 32 bytes of high bits.
      const int half = i / 128, run = i / 32 % 4, column = i % 32;
      uint8_t& low = block[64 * half + 32 * (run & 1) + column];
      uint8_t& high = block[128 + 32 * half + column];
      low = static_cast<uint8_t>(low | (code & 15) << (run < 2 ? 0 : 4));
      high = static_cast<uint8_t>(high | code >> 4 << 2 * run);
    }
  }
}

}  // namespace

void quantizeRow(DType type, const float* row, int64_t cols, void* blocks) {
  void (*quantize)(const float*, uint8_t*) = nullptr;
  if (type == DType::kQ8_0) quantize = quantizeQ8_0;
  if (type == DType::kQ5_0) quantize = quantizeQ5_0;
  if (type == DType::kQ4_K) quantize = quantizeQ4_K;
  if (type == DType::kQ6_K) quantize = quantizeQ6_K;
  const DTypeInfo& block = info(type);
  if (quantize == nullptr || cols % block.blockElements != 0)
    throw Error("invalid_weights", format("cannot quantize rows of %lld columns to %s", static_cast<long long>(cols), block.name));
  auto* to = static_cast<uint8_t*>(blocks);
  for (int64_t column = 0; column < cols; column += block.blockElements, to += block.blockBytes) quantize(row + column, to);
}

}  // namespace mistralrs
