// Interleaves 16 rows of GGUF blocks into a panel (quant_format.h); float rows become [column][16]. Runs once at load.
#include "cpu/kernels/pack_panel.h"

#include <string.h>

#include "cpu/kernels/chunk_codes.h"
#include "cpu/kernels/gguf_blocks.h"

namespace mistralrs::kernels {
namespace {

enum { kTypeF32 = 0, kTypeF16 = 1, kTypeBf16 = 30 };  // ggml's type ids

int floatBytes(int32_t type) { return type == kTypeF32 ? 4 : type == kTypeF16 || type == kTypeBf16 ? 2 : 0; }

template <class F>
void packQuantPanel(int32_t cols, const void* const rows[16], uint8_t* panel) {
  for (int64_t block = 0; block < cols / F::kColumns; ++block, panel += F::kBlockBytes) {
    Quads chunks[F::kChunks];
    memset(chunks, 0, sizeof chunks);
    memset(panel, 0, F::kCodesAt);
    for (int r = 0; r < kPanelRows; ++r) {
      if (rows[r] == nullptr) continue;
      BlockParts parts;
      GgufBlock<F>::read(static_cast<const uint8_t*>(rows[r]) + block * GgufBlock<F>::kBytes, parts);
      memcpy(panel + 2 * r, &parts.d, 2);
      if (F::kMin) memcpy(panel + 32 + 2 * r, &parts.m, 2);
      if (F::kScale != kScalePlain)
        for (int g = 0; g < F::kGroups; ++g) panel[F::kSubAt + 16 * g + r] = parts.sub[g];
      if (F::kScale == kScaleSuper && F::kMin)
        for (int g = 0; g < F::kGroups; ++g) panel[F::kMinAt + 16 * g + r] = parts.min[g];
      for (int column = 0; column < F::kColumns; column += 4)
        memcpy(chunks[column / 32].quad[column % 32 / 4] + 4 * r, parts.codes + column, 4);
    }
    for (int c = 0; c < F::kChunks; ++c) packCodes<F::kBits>(chunks[c], panel + F::kCodesAt + c * F::kChunkBytes);
  }
}

template <typename Element>
void packFloatPanel(int32_t cols, const void* const rows[16], uint8_t* panel) {
  auto* out = reinterpret_cast<Element*>(panel);
  for (int r = 0; r < kPanelRows; ++r) {
    const auto* row = static_cast<const uint8_t*>(rows[r]);
    for (int64_t k = 0; k < cols; ++k) {
      Element element = 0;
      if (row != nullptr) memcpy(&element, row + k * static_cast<int64_t>(sizeof element), sizeof element);
      out[k * kPanelRows + r] = element;
    }
  }
}

}  // namespace

int32_t usesQuantRows(int32_t type) { return floatBytes(type) == 0; }

int64_t panelBytes(int32_t type, int32_t cols) {
  int64_t bytes = -1;
  if (const int element = floatBytes(type); element != 0) bytes = static_cast<int64_t>(cols) * kPanelRows * element;
  withFormat(type, [&](auto format) {
    using F = decltype(format);
    bytes = static_cast<int64_t>(cols / F::kColumns) * F::kBlockBytes;
  });
  return bytes < 0 ? bytes : (bytes + 63) / 64 * 64;
}

void packPanel(int32_t type, int32_t cols, const void* const rows[16], uint8_t* panel) {
  if (floatBytes(type) == 4) return packFloatPanel<uint32_t>(cols, rows, panel);
  if (floatBytes(type) == 2) return packFloatPanel<uint16_t>(cols, rows, panel);
  withFormat(type, [&](auto format) { packQuantPanel<decltype(format)>(cols, rows, panel); });
}

}  // namespace mistralrs::kernels
