// Row-wise ops on float32 rows: memory bound, one pass over each operand (rmsNorm: two).
#include "cpu/kernels/rowwise.h"

#include <math.h>

#include "cpu/kernels/simd_math.h"

namespace mistralrs::kernels {
namespace {

using simd::F32;
using simd::kLanes;

constexpr int32_t kActSilu = 0;  // Act::kSilu of plan/plan.h; the other one is kGeluTanh

// Calls body(load, store, i) over [0, n) by vectors; load(p) and store(p, x) reach lanes [i, i + kLanes) of p, or as many as n has.
template <typename Body>
inline void forEachVector(int64_t n, Body body) {
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes)
    body([i](const float* p) { return simd::load(p + i); }, [i](float* p, F32 x) { simd::store(p + i, x); });
  if (const int64_t rest = n - i; rest > 0)
    body([=](const float* p) { return simd::loadFirst(p + i, rest); },
         [=](float* p, F32 x) { simd::storeFirst(p + i, x, rest); });
}

float sumOfSquares(const float* x, int64_t n) {
  F32 sums[4] = {simd::zero(), simd::zero(), simd::zero(), simd::zero()};
  int64_t i = 0;
  for (; i + 4 * kLanes <= n; i += 4 * kLanes)
    for (int j = 0; j < 4; ++j) {
      const F32 v = simd::load(x + i + j * kLanes);
      sums[j] = simd::fma(v, v, sums[j]);
    }
  forEachVector(n - i, [&](auto load, auto) {
    const F32 v = load(x + i);
    sums[0] = simd::fma(v, v, sums[0]);
  });
  return simd::sum(simd::add(simd::add(sums[0], sums[1]), simd::add(sums[2], sums[3])));
}

// x * sigmoid(x)
inline F32 silu(F32 x) { return simd::div(x, simd::add(simd::set1(1), simd::exp(simd::sub(simd::zero(), x)))); }

// x / 2 * (1 + tanh(z)) with z = sqrt(2 / pi) * (x + 0.044715 x^3), as x * sigmoid(2 z), which does not cancel.
inline F32 geluTanh(F32 x) {
  const F32 cubic = simd::fma(simd::mul(x, x), simd::set1(-2 * 0.7978845608f * 0.044715f), simd::set1(-2 * 0.7978845608f));
  return simd::div(x, simd::add(simd::set1(1), simd::exp(simd::mul(x, cubic))));
}

}  // namespace

void rmsNorm(const float* x, const float* w, int64_t n, float eps, float offset, float* out) {
  const F32 factor = simd::set1(1 / sqrtf(sumOfSquares(x, n) / static_cast<float>(n) + eps));
  if (w == nullptr)
    return forEachVector(n, [=](auto load, auto store) { store(out, simd::mul(load(x), factor)); });
  const F32 shift = simd::set1(offset);
  forEachVector(n, [=](auto load, auto store) {
    store(out, simd::mul(simd::mul(load(x), factor), simd::add(load(w), shift)));
  });
}

void rope(const float* x, const float* cosines, const float* sines, int64_t dim, float* out) {
  const int64_t half = dim / 2;
  forEachVector(half, [=](auto load, auto store) {
    const F32 a = load(x), b = load(x + half), c = load(cosines), s = load(sines);
    store(out, simd::sub(simd::mul(a, c), simd::mul(b, s)));
    store(out + half, simd::add(simd::mul(b, c), simd::mul(a, s)));
  });
}

void addScaled(const float* a, const float* b, float scale, int64_t n, float* out) {
  const F32 factor = simd::set1(scale);
  forEachVector(n, [=](auto load, auto store) { store(out, simd::mul(simd::add(load(a), load(b)), factor)); });
}

void scale(const float* x, float scale, int64_t n, float* out) {
  const F32 factor = simd::set1(scale);
  forEachVector(n, [=](auto load, auto store) { store(out, simd::mul(load(x), factor)); });
}

void actMul(const float* gate, const float* up, int32_t act, int64_t n, float* out) {
  if (act == kActSilu)
    return forEachVector(n, [=](auto load, auto store) { store(out, simd::mul(silu(load(gate)), load(up))); });
  forEachVector(n, [=](auto load, auto store) { store(out, simd::mul(geluTanh(load(gate)), load(up))); });
}

void softcap(const float* x, float cap, int64_t n, float* out) {
  const F32 scale = simd::set1(cap), inverse = simd::set1(1 / cap);
  forEachVector(n, [=](auto load, auto store) { store(out, simd::mul(simd::tanh(simd::mul(load(x), inverse)), scale)); });
}

}  // namespace mistralrs::kernels
