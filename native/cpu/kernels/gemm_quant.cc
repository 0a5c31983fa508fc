// out[t][r] = sum over k of w[r][k] * x[t][k], on integer dot products of 32 columns at a time:
//   acc[r] = fma(dot * s[r], scale[t], acc[r]), acc[r] = fma(min[r], scale[t] * sum[t], acc[r])
// in the order of k, so that no result depends on tiles, splits or how many rows are in the call.
// One row reads each panel once, in order: bound by memory. Many rows go in tiles of 16, whose records (2 bytes a column and
// row) stay in the first cache while a run of panels passes from the second: bound by the dot products.
// Figures: docs/decisions/cpu-weight-panels.md.
#include "cpu/kernels/gemm_quant.h"

#include "cpu/kernels/quant_format.h"
#if defined(MISTRALRS_ISA_AVX512)
#include "cpu/kernels/gemm_quant_avx512.h"
#elif defined(MISTRALRS_ISA_AVX2)
#include "cpu/kernels/gemm_quant_avx2.h"
#else
#include "cpu/kernels/gemm_quant_generic.h"
#endif

namespace mistralrs::kernels {
namespace {

constexpr int64_t kRunBytes = 384 << 10;  // panels that stay in the second cache while all tiles pass over them

template <class F>
void multiplyPanels(const PackedWeight* w, const QuantRows* x, int32_t panelBegin, int32_t panelEnd, float* out, int64_t outStride) {
  const auto run = static_cast<int32_t>(kRunBytes / w->panelBytes + 1);
  for (int32_t first = panelBegin; first < panelEnd; first += run) {
    const int32_t end = panelEnd - first < run ? panelEnd : first + run;
    for (int32_t row = 0; row < x->rows; row += kTileRows)
      for (int32_t panel = first; panel < end; ++panel) {
        const int32_t firstOut = panel * kPanelRows, numRows = w->rows - firstOut < kPanelRows ? w->rows - firstOut : kPanelRows;
        multiplyPanel<F>(w->data + panel * w->panelBytes, w->cols, quantTile(x, row), tileHeight(x->rows, row),
                         out + row * outStride + firstOut, outStride, numRows);
      }
  }
}

}  // namespace

void linearQuant(const PackedWeight* w, const QuantRows* x, int32_t panelBegin, int32_t panelEnd, float* out, int64_t outStride) {
  withFormat(w->type, [&](auto format) { multiplyPanels<decltype(format)>(w, x, panelBegin, panelEnd, out, outStride); });
}

}  // namespace mistralrs::kernels
