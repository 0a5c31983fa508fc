// The one symbol a variant exports.
#include "cpu/kernels.h"
#include "cpu/kernels/attention.h"
#include "cpu/kernels/gemm_float.h"
#include "cpu/kernels/gemm_quant.h"
#include "cpu/kernels/pack_panel.h"
#include "cpu/kernels/quantize_rows.h"
#include "cpu/kernels/rowwise.h"

extern "C" __attribute__((visibility("default"))) const KernelTable* mistralrs_cpu_kernels() {
  using namespace mistralrs::kernels;
  static constexpr KernelTable table = {
#if defined(MISTRALRS_ISA_AVX512)
      .name = "avx512",
#elif defined(MISTRALRS_ISA_AVX2)
      .name = "avx2",
#else
      .name = "generic",
#endif
      .usesQuantRows = usesQuantRows,
      .panelBytes = panelBytes,
      .packPanel = packPanel,
      .quantRowsBytes = quantRowsBytes,
      .quantizeRow = quantizeRow,
      .linearQuant = linearQuant,
      .linearFloat = linearFloat,
      .rmsNorm = rmsNorm,
      .rope = rope,
      .addScaled = addScaled,
      .scale = scale,
      .actMul = actMul,
      .softcap = softcap,
      .kvWrite = kvWrite,
      .attentionScratchBytes = attentionScratchBytes,
      .attention = attention,
      .attentionPartialFloats = attentionPartialFloats,
      .attentionTiles = attentionTiles,
      .attentionMerge = attentionMerge,
  };
  return &table;
}
