// Float linear layers of every variant against float64, and bitwise over every way to split rows and panels.
#include "cpu/kernels/half.h"
#include "cpu/kernels/kernel_test.h"

using namespace mistralrs;
using namespace mistralrs::testing;

namespace {

// `w` [rows, cols] stored as `type`, and back as float.
std::vector<uint8_t> store(DType type, std::vector<float>& w) {
  const size_t size = type == DType::kF32 ? 4 : 2;
  std::vector<uint8_t> bytes(w.size() * size);
  for (size_t i = 0; i < w.size(); ++i) {
    uint16_t half = 0;
    if (type == DType::kF16) half = floatToHalf(w[i]), w[i] = halfToFloat(half);
    if (type == DType::kBF16) half = static_cast<uint16_t>(floatToBits(w[i]) >> 16), w[i] = bf16ToFloat(half);
    std::memcpy(bytes.data() + i * size, type == DType::kF32 ? static_cast<const void*>(&w[i]) : &half, size);
  }
  return bytes;
}

struct Packed {
  AlignedBytes bytes;
  PackedWeight weight;
};

Packed pack(const KernelTable& kernels, DType type, const std::vector<uint8_t>& w, int32_t rows, int32_t cols) {
  const int64_t panelBytes = kernels.panelBytes(static_cast<int32_t>(type), cols);
  const int32_t panels = (rows + kPanelRows - 1) / kPanelRows;
  Packed packed{AlignedBytes(panels * panelBytes), {static_cast<int32_t>(type), rows, cols, panelBytes, nullptr}};
  packed.weight.data = packed.bytes.data();
  for (int32_t panel = 0; panel < panels; ++panel) {
    const void* source[kPanelRows];
    for (int r = 0; r < kPanelRows; ++r) {
      const int32_t row = panel * kPanelRows + r;
      source[r] = row < rows ? w.data() + row * cols * (type == DType::kF32 ? 4 : 2) : nullptr;
    }
    kernels.packPanel(static_cast<int32_t>(type), cols, source, packed.bytes.data() + panel * panelBytes);
  }
  return packed;
}

const DType kTypes[] = {DType::kF32, DType::kF16, DType::kBF16};

}  // namespace

TEST(linear_float_matches_float64) {
  for (const KernelTable* kernels : variants())
    for (const DType type : kTypes)
      for (const int32_t cols : {1, 33, 96, 160, 257})
        for (const int32_t rows : {1, 15, 16, 17, 33, 80})
          for (const int32_t numTokens : {1, 2, 3, 7, 8, 13}) {
            CHECK_EQ(kernels->usesQuantRows(static_cast<int32_t>(type)), 0);
            std::vector<float> w = randomFloats(rows * cols, 1);
            const Packed packed = pack(*kernels, type, store(type, w), rows, cols);
            const int64_t stride = cols + 3;
            const std::vector<float> x = randomFloats(numTokens * stride, 2);
            const FloatRows input{x.data(), stride};
            std::vector<float> out(static_cast<size_t>(numTokens * rows + 16), 12345);
            kernels->linearFloat(&packed.weight, &input, numTokens, 0, (rows + 15) / 16, out.data(), rows);
            double worst = 0;
            for (int32_t t = 0; t < numTokens; ++t)
              for (int32_t r = 0; r < rows; ++r) {
                double sum = 0, size = 1e-30;
                for (int32_t k = 0; k < cols; ++k) {
                  const double term = static_cast<double>(w[static_cast<size_t>(r * cols + k)]) * static_cast<double>(x[static_cast<size_t>(t * stride + k)]);
                  sum += term;
                  size += std::fabs(term);
                }
                worst = std::max(worst, std::fabs(out[static_cast<size_t>(t * rows + r)] - sum) / size);
              }
            CHECK(worst < 2e-6);
            for (size_t i = out.size() - 16; i < out.size(); ++i) CHECK_EQ(out[i], 12345.0f);
          }
}

TEST(linear_float_is_bitwise_independent_of_rows_and_splits) {
  constexpr int32_t kRows = 150, kCols = 173, kTokens = 19, kPanels = 10;
  const std::vector<float> x = randomFloats(kTokens * kCols, 4);
  for (const KernelTable* kernels : variants())
    for (const DType type : kTypes) {
      std::vector<float> w = randomFloats(kRows * kCols, 3);
      const Packed packed = pack(*kernels, type, store(type, w), kRows, kCols);
      std::vector<float> alone(kTokens * kRows);
      for (int32_t t = 0; t < kTokens; ++t) {
        const FloatRows row{x.data() + t * kCols, kCols};
        kernels->linearFloat(&packed.weight, &row, 1, 0, kPanels, alone.data() + t * kRows, kRows);
      }
      for (int32_t count = 1; count <= kTokens; ++count)
        for (const int32_t split : {1, 3, 6, 9}) {
          const FloatRows rows{x.data(), kCols};
          std::vector<float> out(static_cast<size_t>(count * kRows));
          kernels->linearFloat(&packed.weight, &rows, count, 0, split, out.data(), kRows);
          kernels->linearFloat(&packed.weight, &rows, count, split, kPanels, out.data(), kRows);
          CHECK(std::memcmp(out.data(), alone.data(), sizeof(float) * out.size()) == 0);
        }
    }
}
