// F32 of simd.h in portable vector extensions: 4 floats, two roundings in fma.
#pragma once
#include <math.h>
#include <stdint.h>

#include "cpu/kernels/half.h"

namespace mistralrs::simd {

constexpr int kLanes = 4;
typedef float F32 __attribute__((vector_size(16)));
typedef int32_t I32 __attribute__((vector_size(16)));

inline F32 zero() { return F32{0, 0, 0, 0}; }
inline F32 set1(float x) { return F32{x, x, x, x}; }
inline F32 load(const float* p) {
  F32 x;
  memcpy(&x, p, sizeof x);
  return x;
}
inline void store(float* p, F32 x) { memcpy(p, &x, sizeof x); }
// The first n lanes, 0 < n < kLanes; the others read as zero and are not written.
inline F32 loadFirst(const float* p, int64_t n) { return F32{p[0], n > 1 ? p[1] : 0, n > 2 ? p[2] : 0, 0}; }
inline void storeFirst(float* p, F32 x, int64_t n) {
  for (int64_t i = 0; i < n; ++i) p[i] = x[i];
}
inline F32 loadF16(const uint16_t* p) {
  return F32{halfToFloat(p[0]), halfToFloat(p[1]), halfToFloat(p[2]), halfToFloat(p[3])};
}
inline F32 loadBf16(const uint16_t* p) {
  return F32{bf16ToFloat(p[0]), bf16ToFloat(p[1]), bf16ToFloat(p[2]), bf16ToFloat(p[3])};
}
inline void storeF16(uint16_t* p, F32 x) {
  for (int i = 0; i < kLanes; ++i) p[i] = floatToHalf(x[i]);
}

inline F32 add(F32 a, F32 b) { return a + b; }
inline F32 sub(F32 a, F32 b) { return a - b; }
inline F32 mul(F32 a, F32 b) { return a * b; }
inline F32 div(F32 a, F32 b) { return a / b; }
inline F32 fma(F32 a, F32 b, F32 c) { return a * b + c; }
// a < b ? yes : no, by lane.
inline F32 selectLess(F32 a, F32 b, F32 yes, F32 no) { return a < b ? yes : no; }
inline F32 min(F32 a, F32 b) { return selectLess(a, b, a, b); }
inline F32 max(F32 a, F32 b) { return selectLess(a, b, b, a); }
inline F32 abs(F32 a) { return selectLess(a, zero(), -a, a); }
inline F32 round(F32 a) { return F32{rintf(a[0]), rintf(a[1]), rintf(a[2]), rintf(a[3])}; }
// 2^n for integral n in [-126, 127].
inline F32 exp2Integral(F32 n) {
  const I32 bits = (__builtin_convertvector(n, I32) + 127) << 23;
  F32 x;
  memcpy(&x, &bits, sizeof x);
  return x;
}
inline float sum(F32 a) { return (a[0] + a[2]) + (a[1] + a[3]); }
inline float largest(F32 a) { return fmaxf(fmaxf(a[0], a[2]), fmaxf(a[1], a[3])); }
// Lane i is op over the lanes of rows[i], kLanes rows.
template <typename Op>
inline F32 reduceRows(const F32* rows, Op op) {
  F32 columns[kLanes];
  for (int i = 0; i < kLanes; ++i) columns[i] = F32{rows[0][i], rows[1][i], rows[2][i], rows[3][i]};
  return op(op(columns[0], columns[2]), op(columns[1], columns[3]));
}

}  // namespace mistralrs::simd
