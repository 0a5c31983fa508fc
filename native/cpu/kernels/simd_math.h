// exp and tanh on simd::F32, relative error below 2e-7. Polynomials: Cephes (expf, tanhf).
#pragma once
#include "cpu/kernels/simd.h"

namespace mistralrs::simd {

// 0 below -87.33, where floats become subnormal; stays finite above 88.37.
inline F32 exp(F32 x) {
  const F32 smallest = set1(-87.33f);
  const F32 bounded = min(max(x, smallest), set1(88.37f));
  const F32 n = round(mul(bounded, set1(1.44269504088896341f)));
  F32 r = fma(n, set1(-0.693359375f), bounded);  // ln 2 in two parts, so that r is exact
  r = fma(n, set1(2.12194440e-4f), r);
  F32 p = fma(set1(1.9875691500e-4f), r, set1(1.3981999507e-3f));
  p = fma(p, r, set1(8.3334519073e-3f));
  p = fma(p, r, set1(4.1665795894e-2f));
  p = fma(p, r, set1(1.6666665459e-1f));
  p = fma(p, r, set1(0.5f));
  p = add(fma(p, mul(r, r), r), set1(1));
  return selectLess(x, smallest, zero(), mul(p, exp2Integral(n)));
}

inline F32 tanh(F32 x) {
  const F32 z = mul(x, x);
  F32 p = fma(set1(-5.70498872745e-3f), z, set1(2.06390887954e-2f));
  p = fma(p, z, set1(-5.37397155531e-2f));
  p = fma(p, z, set1(1.33314422036e-1f));
  p = fma(p, z, set1(-3.33332819422e-1f));
  const F32 small = fma(mul(p, z), x, x);  // 1 - 2 / (e^2x + 1) would cancel here
  const F32 large = sub(set1(1), div(set1(2), add(exp(add(x, x)), set1(1))));
  return selectLess(abs(x), set1(0.625f), small, large);
}

}  // namespace mistralrs::simd
