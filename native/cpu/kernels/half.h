// IEEE binary16 and bfloat16 in plain C++, for packers and for variants without conversion instructions.
#pragma once
#include <stdint.h>
#include <string.h>

namespace mistralrs {

inline float bitsToFloat(uint32_t bits) {
  float x;
  memcpy(&x, &bits, 4);
  return x;
}
inline uint32_t floatToBits(float x) {
  uint32_t bits;
  memcpy(&bits, &x, 4);
  return bits;
}

inline float bf16ToFloat(uint16_t h) { return bitsToFloat(static_cast<uint32_t>(h) << 16); }

inline float halfToFloat(uint16_t h) {
  const uint32_t sign = static_cast<uint32_t>(h & 0x8000) << 16;
  const uint32_t exponent = (h >> 10) & 31, mantissa = h & 0x3ff;
  if (exponent == 31) return bitsToFloat(sign | 0x7f800000 | mantissa << 13);
  if (exponent != 0) return bitsToFloat(sign | (exponent + 112) << 23 | mantissa << 13);
  const float magnitude = static_cast<float>(mantissa) * 0x1p-24f;  // zero or subnormal
  return sign ? -magnitude : magnitude;
}

// Rounds to nearest, ties to even; overflow becomes infinity.
inline uint16_t floatToHalf(float x) {
  const uint32_t bits = floatToBits(x);
  const uint16_t sign = static_cast<uint16_t>((bits >> 16) & 0x8000);
  const uint32_t magnitude = bits & 0x7fffffff;
  if (magnitude > 0x7f800000) return sign | 0x7e00;   // NaN
  if (magnitude >= 0x477ff000) return sign | 0x7c00;  // 65520 and more
  if (magnitude < 0x38800000) {  // below 2^-14: adding 0.5 leaves the subnormal, rounded, in the low bits
    return sign | static_cast<uint16_t>(floatToBits(bitsToFloat(magnitude) + 0.5f) - 0x3f000000);
  }
  const uint32_t odd = (magnitude >> 13) & 1;
  return sign | static_cast<uint16_t>((magnitude - 0x38000000 + 0xfff + odd) >> 13);
}

}  // namespace mistralrs
