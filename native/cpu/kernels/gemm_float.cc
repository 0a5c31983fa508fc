// out[t][r] = sum over k of w[r][k] * x[t][k] for weights of type f32, f16 or bf16 in panels [k][16]: 16 rows are the lanes, each
// sum is one chain acc = fma(w[k], x[k], acc) in the order of k. The latency of the chains is hidden by computing several
// panels (few rows: bound by memory) or several rows (many: bound by FMAs) at once, which changes no result.
#include "cpu/kernels/gemm_float.h"

#include "cpu/kernels/simd.h"

namespace mistralrs::kernels {
namespace {

using simd::F32;
using simd::kLanes;

constexpr int kVectors = kPanelRows / kLanes;

struct ElementF32 {
  using Type = float;
  static F32 load(const Type* p) { return simd::load(p); }
};
struct ElementF16 {
  using Type = uint16_t;
  static F32 load(const Type* p) { return simd::loadF16(p); }
};
struct ElementBf16 {
  using Type = uint16_t;
  static F32 load(const Type* p) { return simd::loadBf16(p); }
};

struct Output {
  float* at;  // row 0, first weight row of the panels
  int64_t stride;
  int32_t numRows;  // weight rows to write, of all panels together
};

// P panels by N rows of activations.
template <class Element, int P, int N>
inline void multiplyTile(const uint8_t* panels, int64_t panelBytes, int32_t cols, const float* x, int64_t stride, const Output& out) {
  using Type = typename Element::Type;
  F32 acc[P][N][kVectors];
  for (auto& panel : acc)
    for (auto& row : panel)
      for (F32& vector : row) vector = simd::zero();
  const float* rows[N];
  const Type* w[P];
  for (int t = 0; t < N; ++t) rows[t] = x + t * stride;
  for (int p = 0; p < P; ++p) w[p] = reinterpret_cast<const Type*>(panels + p * panelBytes);
  const auto step = [&](int64_t k) {
    F32 weights[P][kVectors];
    for (int p = 0; p < P; ++p)
      for (int v = 0; v < kVectors; ++v) weights[p][v] = Element::load(w[p] + k * kPanelRows + v * kLanes);
    for (int t = 0; t < N; ++t) {
      const F32 broadcast = simd::set1(rows[t][k]);
      for (int p = 0; p < P; ++p)
        for (int v = 0; v < kVectors; ++v) acc[p][t][v] = simd::fma(weights[p][v], broadcast, acc[p][t][v]);
    }
  };
  constexpr int kUnroll = 4;
  int64_t k = 0;
  for (; k + kUnroll <= cols; k += kUnroll) {
    for (int p = 0; p < P; ++p)  // panels are too short as streams for the hardware to ask ahead
      for (int at = 0; at < kUnroll * kPanelRows; at += 64 / static_cast<int>(sizeof(Type)))
        __builtin_prefetch(w[p] + k * kPanelRows + 4096 / sizeof(Type) + at);
#pragma GCC unroll 4
    for (int i = 0; i < kUnroll; ++i) step(k + i);
  }
  for (; k < cols; ++k) step(k);
  for (int t = 0; t < N; ++t) {
    float* to = out.at + t * out.stride;
    for (int p = 0; p < P; ++p)
      for (int v = 0; v < kVectors; ++v) {
        const int32_t first = p * kPanelRows + v * kLanes, left = out.numRows - first;
        if (left >= kLanes)
          simd::store(to + first, acc[p][t][v]);
        else if (left > 0)
          simd::storeFirst(to + first, acc[p][t][v], left);
      }
  }
}

template <class Element, int P>
void multiplyRows(const uint8_t* panels, int64_t panelBytes, int32_t cols, const FloatRows* x, int32_t numRows, Output out) {
  constexpr int kTile = kVectors == 1 ? 8 : kVectors == 2 ? 6 : 2;  // accumulators: 16 of 32 registers, 12 of 16, 8 of 16
  const float* row = x->x;
  int32_t t = 0;
  const auto step = [&](int n) { t += n, row += n * x->stride, out.at += n * out.stride; };
  for (; numRows - t >= kTile; step(kTile)) multiplyTile<Element, P, kTile>(panels, panelBytes, cols, row, x->stride, out);
  if constexpr (kTile > 4)
    for (; numRows - t >= 4; step(4)) multiplyTile<Element, P, 4>(panels, panelBytes, cols, row, x->stride, out);
  if constexpr (kTile > 2)
    for (; numRows - t >= 2; step(2)) multiplyTile<Element, P, 2>(panels, panelBytes, cols, row, x->stride, out);
  for (; numRows - t >= 1; step(1)) multiplyTile<Element, P, 1>(panels, panelBytes, cols, row, x->stride, out);
}

template <class Element>
void multiplyPanels(const PackedWeight* w, const FloatRows* x, int32_t numRows, int32_t panelBegin, int32_t panelEnd, float* out,
                    int64_t outStride) {
  constexpr int kFewRows = 4 / kVectors > 1 ? 4 / kVectors : 1;  // panels at once for one row, and for several
  constexpr int kManyRows = kVectors == 1 ? 2 : 1;
  for (int32_t panel = panelBegin; panel < panelEnd;) {
    const uint8_t* data = w->data + panel * w->panelBytes;
    const int32_t first = panel * kPanelRows, left = panelEnd - panel;
    const Output to = {out + first, outStride, w->rows - first};
    if (numRows == 1 && left >= kFewRows) {
      multiplyTile<Element, kFewRows, 1>(data, w->panelBytes, w->cols, x->x, x->stride, to);
      panel += kFewRows;
    } else if (left >= kManyRows) {
      multiplyRows<Element, kManyRows>(data, w->panelBytes, w->cols, x, numRows, to);
      panel += kManyRows;
    } else {
      multiplyRows<Element, 1>(data, w->panelBytes, w->cols, x, numRows, to);
      panel += 1;
    }
  }
}

}  // namespace

void linearFloat(const PackedWeight* w, const FloatRows* x, int32_t numRows, int32_t panelBegin, int32_t panelEnd, float* out,
                 int64_t outStride) {
  switch (w->type) {  // ggml's type ids
    case 0: return multiplyPanels<ElementF32>(w, x, numRows, panelBegin, panelEnd, out, outStride);
    case 1: return multiplyPanels<ElementF16>(w, x, numRows, panelBegin, panelEnd, out, outStride);
    case 30: return multiplyPanels<ElementBf16>(w, x, numRows, panelBegin, panelEnd, out, outStride);
  }
}

}  // namespace mistralrs::kernels
