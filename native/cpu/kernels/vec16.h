// Sixteen floats as one value whatever the variant's registers hold: attention's keys lie in blocks of 16 (kernels.h).
#pragma once
#include "cpu/kernels/simd.h"
#include "cpu/kernels/simd_math.h"

namespace mistralrs::simd {

constexpr int kParts = 16 / kLanes;

struct Vec16 {
  F32 part[kParts];
};

// fn(i) is part i of the result.
template <typename Fn>
[[gnu::always_inline]] inline Vec16 eachPart(Fn&& fn) {
  Vec16 result;
#pragma GCC unroll 4
  for (int i = 0; i < kParts; ++i) result.part[i] = fn(i);
  return result;
}

inline Vec16 broadcast16(float x) {
  const F32 value = set1(x);
  return eachPart([&](int) { return value; });
}
inline Vec16 load16(const float* p) {
  return eachPart([&](int i) { return load(p + i * kLanes); });
}
inline Vec16 load16(const uint16_t* p) {
  return eachPart([&](int i) { return loadF16(p + i * kLanes); });
}
// The first 8 floats; the others are zero.
inline Vec16 load8(const float* p) {
  if constexpr (kLanes == 16) return Vec16{{loadFirst(p, 8)}};
  else return eachPart([&](int i) { return i * kLanes < 8 ? load(p + i * kLanes) : zero(); });
}
inline Vec16 load8(const uint16_t* p) {
  uint16_t halves[16] = {};
  __builtin_memcpy(halves, p, 8 * sizeof *p);
  return load16(halves);
}
inline void store16(float* p, const Vec16& a) {
#pragma GCC unroll 4
  for (int i = 0; i < kParts; ++i) store(p + i * kLanes, a.part[i]);
}
inline void store8(float* p, const Vec16& a) {
  if constexpr (kLanes == 16) storeFirst(p, a.part[0], 8);
  else
    for (int i = 0; i * kLanes < 8; ++i) store(p + i * kLanes, a.part[i]);
}
inline Vec16 add(const Vec16& a, const Vec16& b) {
  return eachPart([&](int i) { return add(a.part[i], b.part[i]); });
}
inline Vec16 sub(const Vec16& a, const Vec16& b) {
  return eachPart([&](int i) { return sub(a.part[i], b.part[i]); });
}
inline Vec16 mul(const Vec16& a, const Vec16& b) {
  return eachPart([&](int i) { return mul(a.part[i], b.part[i]); });
}
inline Vec16 div(const Vec16& a, const Vec16& b) {
  return eachPart([&](int i) { return div(a.part[i], b.part[i]); });
}
inline Vec16 max(const Vec16& a, const Vec16& b) {
  return eachPart([&](int i) { return max(a.part[i], b.part[i]); });
}
[[gnu::always_inline]] inline Vec16 fma(const Vec16& a, const Vec16& b, const Vec16& c) {
  return eachPart([&](int i) { return fma(a.part[i], b.part[i], c.part[i]); });
}
inline Vec16 exp(const Vec16& a) {
  return eachPart([&](int i) { return exp(a.part[i]); });
}
inline Vec16 tanh(const Vec16& a) {
  return eachPart([&](int i) { return tanh(a.part[i]); });
}
// Lane numbers, 0 to 15.
inline Vec16 laneNumbers() {
  static constexpr float numbers[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
  return load16(numbers);
}
// a in lanes [begin, end), b elsewhere.
inline Vec16 selectLanes(int begin, int end, const Vec16& a, const Vec16& b) {
  const Vec16 lanes = laneNumbers();
  const F32 first = set1(static_cast<float>(begin)), limit = set1(static_cast<float>(end));
  return eachPart([&](int i) {
    return selectLess(lanes.part[i], first, b.part[i], selectLess(lanes.part[i], limit, a.part[i], b.part[i]));
  });
}
// In one fixed order.
inline float sumLanes(const Vec16& a) {
  F32 total = a.part[0];
#pragma GCC unroll 4
  for (int i = 1; i < kParts; ++i) total = add(total, a.part[i]);
  return sum(total);
}
inline float maxLanes(const Vec16& a) {
  F32 best = a.part[0];
#pragma GCC unroll 4
  for (int i = 1; i < kParts; ++i) best = max(best, a.part[i]);
  return largest(best);
}
inline float lane0(const Vec16& a) {
  float lanes[kLanes];
  store(lanes, a.part[0]);
  return lanes[0];
}

}  // namespace mistralrs::simd
