// Quantized linear layers of every type and variant against float64 sums over dequantizeRow and the quantized activations, and
// bitwise against themselves over every way to split rows and panels.
#include "cpu/kernels/kernel_test.h"
#include "cpu/kernels/quant_format.h"

using namespace mistralrs;
using namespace mistralrs::testing;

namespace {

struct TypeCase {
  DType type;
  int scaleAt, minAt;  // byte offsets of the f16 scales in a block; minAt -1: none
};
const TypeCase kTypes[] = {
    {DType::kQ4_0, 0, -1}, {DType::kQ4_1, 0, 2},    {DType::kQ5_0, 0, -1}, {DType::kQ5_1, 0, 2},
    {DType::kQ8_0, 0, -1}, {DType::kQ2_K, 80, 82},  {DType::kQ3_K, 108, -1}, {DType::kQ4_K, 0, 2},
    {DType::kQ5_K, 0, 2},  {DType::kQ6_K, 208, -1}, {DType::kIQ4_NL, 0, -1}, {DType::kIQ4_XS, 0, -1},
};

// f16 of about 2^-10 .. 2^-4, of either sign.
uint16_t randomHalf(std::mt19937& random) {
  return static_cast<uint16_t>((random() & 0x83ff) | (5 + random() % 6) << 10);
}

enum class Codes { kRandom, kAllOnes, kAllZero };

std::vector<uint8_t> randomBlocks(const TypeCase& type, int64_t rows, int64_t cols, Codes codes, uint32_t seed) {
  std::mt19937 random(seed);
  std::vector<uint8_t> bytes(static_cast<size_t>(rows * rowBytes(type.type, cols)));
  for (uint8_t& byte : bytes) byte = codes == Codes::kRandom ? static_cast<uint8_t>(random()) : codes == Codes::kAllOnes ? 0xff : 0;
  const auto blockBytes = static_cast<size_t>(info(type.type).blockBytes);
  for (size_t block = 0; block < bytes.size(); block += blockBytes)
    for (const int at : {type.scaleAt, type.minAt}) {
      const uint16_t half = randomHalf(random);
      if (at >= 0) std::memcpy(bytes.data() + block + at, &half, 2);
    }
  return bytes;
}

struct Packed {
  AlignedBytes bytes;
  PackedWeight weight;
};

Packed pack(const KernelTable& kernels, DType type, const std::vector<uint8_t>& blocks, int32_t rows, int32_t cols) {
  const int64_t panelBytes = kernels.panelBytes(static_cast<int32_t>(type), cols);
  const int32_t panels = (rows + kPanelRows - 1) / kPanelRows;
  Packed packed{AlignedBytes(panels * panelBytes), {static_cast<int32_t>(type), rows, cols, panelBytes, nullptr}};
  packed.weight.data = packed.bytes.data();
  for (int32_t panel = 0; panel < panels; ++panel) {
    const void* source[kPanelRows];
    for (int r = 0; r < kPanelRows; ++r) {
      const int32_t row = panel * kPanelRows + r;
      source[r] = row < rows ? blocks.data() + row * rowBytes(type, cols) : nullptr;
    }
    kernels.packPanel(static_cast<int32_t>(type), cols, source, packed.bytes.data() + panel * panelBytes);
  }
  return packed;
}

struct Quantized {
  AlignedBytes bytes;
  QuantRows rows;
};

Quantized quantize(const KernelTable& kernels, const float* x, int32_t rows, int32_t cols) {
  Quantized out{AlignedBytes(kernels.quantRowsBytes(rows, cols)), {nullptr, rows, cols}};
  out.rows.data = out.bytes.data();
  for (int32_t t = 0; t < rows; ++t) kernels.quantizeRow(x + static_cast<int64_t>(t) * cols, &out.rows, t);
  return out;
}

const kernels::QuantRecord& record(const QuantRows& rows, int32_t t, int32_t block) {
  const int32_t first = t / kernels::kTileRows * kernels::kTileRows;
  return kernels::quantTile(&rows, first)[block * kernels::tileHeight(rows.rows, first) + t - first];
}

constexpr float kUntouched = 12345;

std::vector<float> multiply(const KernelTable& kernels, const Packed& w, const Quantized& x, int32_t panelBegin, int32_t panelEnd) {
  std::vector<float> out(static_cast<size_t>(x.rows.rows) * static_cast<size_t>(w.weight.rows) + 16, kUntouched);
  kernels.linearQuant(&w.weight, &x.rows, panelBegin, panelEnd, out.data(), w.weight.rows);
  return out;
}

// Every result of `rows` x `numTokens` against float64; activations x.
void checkAgainstFloat64(const KernelTable& kernels, const TypeCase& type, Codes codes, int32_t rows, int32_t cols, int32_t numTokens,
                         const std::vector<float>& x) {
  const std::vector<uint8_t> blocks = randomBlocks(type, rows, cols, codes, static_cast<uint32_t>(rows * cols + numTokens));
  const Packed w = pack(kernels, type.type, blocks, rows, cols);
  Quantized q = quantize(kernels, x.data(), numTokens, cols);
  const std::vector<float> out = multiply(kernels, w, q, 0, (rows + kPanelRows - 1) / kPanelRows);
  CHECK(q.bytes.intact());
  double worst = 0;
  std::vector<float> row(static_cast<size_t>(cols));
  for (int32_t r = 0; r < rows; ++r) {
    dequantizeRow(type.type, blocks.data() + r * rowBytes(type.type, cols), cols, row.data());
    for (int32_t t = 0; t < numTokens; ++t) {
      double sum = 0, size = 1e-30;
      for (int32_t k = 0; k < cols; ++k) {
        const kernels::QuantRecord& part = record(q.rows, t, k / 32);
        const double term = static_cast<double>(row[static_cast<size_t>(k)]) * part.q[k % 32] * static_cast<double>(part.scale);
        sum += term;
        size += std::fabs(term);
      }
      worst = std::max(worst, std::fabs(out[static_cast<size_t>(t * rows + r)] - sum) / size);
    }
  }
  if (!(worst <= 5e-6))
    fail(__FILE__, __LINE__,
         format("%s %s %dx%d T=%d: off by %.2g", kernels.name, info(type.type).name, rows, cols, numTokens, worst));
  for (size_t i = out.size() - 16; i < out.size(); ++i) CHECK_EQ(out[i], kUntouched);
}

}  // namespace

TEST(linear_quant_matches_float64) {
  for (const KernelTable* kernels : variants())
    for (const TypeCase& type : kTypes)
      for (const int32_t cols : {32, 64, 256, 512, 1024}) {
        if (cols % info(type.type).blockElements != 0) continue;
        const std::vector<float> x = randomFloats(64 * cols, 7);
        for (const int32_t numTokens : {1, 2, 3, 5, 8, 13, 16, 31, 64})
          checkAgainstFloat64(*kernels, type, Codes::kRandom, cols > 256 ? 17 : 33, cols, numTokens, x);
        for (const int32_t rows : {1, 15, 16, 17}) checkAgainstFloat64(*kernels, type, Codes::kRandom, rows, cols, 6, x);
      }
}

TEST(linear_quant_is_exact_at_extreme_codes) {
  constexpr int32_t kCols = 512, kTokens = 21;
  for (const KernelTable* kernels : variants())
    for (const TypeCase& type : kTypes)
      for (const Codes codes : {Codes::kAllOnes, Codes::kAllZero})
        for (const int pattern : {0, 1, 2}) {
          std::vector<float> x(static_cast<size_t>(kTokens * kCols));
          for (size_t i = 0; i < x.size(); ++i) x[i] = pattern == 0 || (pattern == 1 && i % 2 == 0) ? 127.0f : -127.0f;
          checkAgainstFloat64(*kernels, type, codes, 16, kCols, kTokens, x);
          checkAgainstFloat64(*kernels, type, codes, 16, kCols, 1, x);
        }
}

TEST(linear_quant_is_bitwise_independent_of_rows_and_splits) {
  constexpr int32_t kRows = 70, kCols = 768, kTokens = 45;
  const std::vector<float> x = randomFloats(kTokens * kCols, 11);
  for (const KernelTable* kernels : variants())
    for (const TypeCase& type : kTypes) {
      const Packed w = pack(*kernels, type.type, randomBlocks(type, kRows, kCols, Codes::kRandom, 5), kRows, kCols);
      std::vector<float> alone;
      for (int32_t t = 0; t < kTokens; ++t) {
        const std::vector<float> row = multiply(*kernels, w, quantize(*kernels, x.data() + t * kCols, 1, kCols), 0, 5);
        alone.insert(alone.end(), row.begin(), row.begin() + kRows);
      }
      for (int32_t count = 2; count <= kTokens; count += count < 18 ? 1 : 9) {
        const Quantized q = quantize(*kernels, x.data(), count, kCols);
        std::vector<float> out = multiply(*kernels, w, q, 0, 2);
        kernels->linearQuant(&w.weight, &q.rows, 2, 3, out.data(), kRows);
        kernels->linearQuant(&w.weight, &q.rows, 3, 5, out.data(), kRows);
        CHECK(std::memcmp(out.data(), alone.data(), sizeof(float) * static_cast<size_t>(count * kRows)) == 0);
      }
    }
}

TEST(panels_are_about_as_large_as_gguf) {
  for (const KernelTable* kernels : variants())
    for (const TypeCase& type : kTypes) {
      const double ratio = static_cast<double>(kernels->panelBytes(static_cast<int32_t>(type.type), 2048)) /
                           static_cast<double>(16 * rowBytes(type.type, 2048));
      CHECK(ratio >= 1 && ratio < 1.05);
      CHECK_EQ(kernels->usesQuantRows(static_cast<int32_t>(type.type)), 1);
    }
}

TEST(quantize_row_rounds_to_nearest_with_exact_sums) {
  constexpr int32_t kRows = 19, kCols = 96;
  std::vector<float> x = randomFloats(kRows * kCols, 3);
  for (int32_t k = 32; k < 64; ++k) x[static_cast<size_t>(k)] = 0;
  x[64] = 1e-38f;  // row 0's last block: too small to scale
  for (int32_t k = 65; k < 96; ++k) x[static_cast<size_t>(k)] = -1e-38f;
  for (const KernelTable* kernels : variants()) {
    Quantized q = quantize(*kernels, x.data(), kRows, kCols);
    CHECK(q.bytes.intact());
    for (int32_t t = 0; t < kRows; ++t)
      for (int32_t block = 0; block < kCols / 32; ++block) {
        const kernels::QuantRecord& r = record(q.rows, t, block);
        int32_t sums[2] = {0, 0};
        for (int32_t i = 0; i < 32; ++i) {
          sums[i / 16] += r.q[i];
          CHECK_NEAR(r.q[i] * r.scale, x[static_cast<size_t>(t * kCols + block * 32 + i)], r.scale * 0.5001 + 2e-38);
        }
        CHECK_EQ(r.negativeSum16[0], -sums[0]);
        CHECK_EQ(r.negativeSum16[1], -sums[1]);
        CHECK_EQ(r.negativeSum32, -sums[0] - sums[1]);
        CHECK_EQ(r.scaledSum16[0], r.scale * static_cast<float>(sums[0]));
        CHECK_EQ(r.scaledSum16[1], r.scale * static_cast<float>(sums[1]));
        CHECK_EQ(r.scaledSum32, r.scale * static_cast<float>(sums[0] + sums[1]));
      }
    CHECK_EQ(record(q.rows, 0, 1).scale, 0.0f);
    CHECK_EQ(record(q.rows, 0, 2).scale, 0.0f);
  }
}

// Block by block as good as rounding with either peak, for any number of blocks in a row.
TEST(quantize_row_takes_the_better_peak) {
  constexpr int kBlock = 32;
  for (const KernelTable* kernels : variants())
    for (const int32_t cols : {32, 96, 576, 544, 4096, 4128, 8800}) {
      const std::vector<float> x = randomFloats(cols, static_cast<uint32_t>(cols));
      const Quantized q = quantize(*kernels, x.data(), 1, cols);
      double squares = 0, squaresOf127 = 0;
      for (int32_t block = 0; block < cols / kBlock; ++block) {
        const float* at = x.data() + block * kBlock;
        const kernels::QuantRecord& r = record(q.rows, 0, block);
        float largest = 0;
        for (int i = 0; i < kBlock; ++i) largest = std::max(largest, std::fabs(at[i]));
        const auto squaredError = [&](double scale) {
          double sum = 0;
          for (int i = 0; i < kBlock; ++i) sum += std::pow(std::nearbyint(at[i] / scale) * scale - at[i], 2);
          return sum;
        };
        double error = 0;
        for (int i = 0; i < kBlock; ++i) error += std::pow(static_cast<double>(r.q[i]) * r.scale - at[i], 2);
        const double of127 = squaredError(largest / 127.0), of125 = squaredError(largest / 125.0);
        CHECK_NEAR(error, std::min(of127, of125), 1e-3 * of127);
        squares += error;
        squaresOf127 += of127;
      }
      if (cols > 500) CHECK(squares < 0.97 * squaresOf127);
    }
}

TEST(quantize_row_keeps_what_is_not_finite) {
  constexpr int32_t kCols = 1024;
  for (const KernelTable* kernels : variants())
    for (const float bad : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity(), -std::numeric_limits<float>::infinity()}) {
      std::vector<float> x = randomFloats(kCols, 1);
      x[100] = bad;
      const Quantized q = quantize(*kernels, x.data(), 1, kCols);
      for (int32_t block = 0; block < kCols / 32; ++block) CHECK_EQ(std::isfinite(record(q.rows, 0, block).scale), block != 100 / 32);
    }
}
