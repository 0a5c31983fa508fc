// In-situ quantization: rms errors on normal data. ggml's own on the same kind of data (1024 x 256, sigma 0.03), for scale:
// Q8_0 0.0054, Q5_0 0.0428, Q4_K 0.0715, Q6_K 0.0178.
#include <random>

#include "plan/weights.h"
#include "testing/testing.h"

using namespace mistralrs;

namespace {

double relativeRms(DType type, const std::vector<float>& row) {
  const auto cols = static_cast<int64_t>(row.size());
  std::vector<uint8_t> blocks(static_cast<size_t>(rowBytes(type, cols)), 0xee);
  std::vector<float> back(row.size());
  quantizeRow(type, row.data(), cols, blocks.data());
  dequantizeRow(type, blocks.data(), cols, back.data());
  double error = 0, size = 0;
  for (size_t i = 0; i < row.size(); ++i) {
    error += std::pow(static_cast<double>(back[i]) - row[i], 2);
    size += std::pow(static_cast<double>(row[i]), 2);
  }
  return std::sqrt(error / (size + 1e-300));
}

std::vector<float> normalRow(size_t n, float mean, uint32_t seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal(mean, 0.03f);
  std::vector<float> row(n);
  for (float& x : row) x = normal(random);
  return row;
}

const DType kTypes[] = {DType::kQ8_0, DType::kQ5_0, DType::kQ4_K, DType::kQ6_K};

}  // namespace

TEST(quantize_row_is_as_close_as_ggml) {
  const double bounds[] = {0.0056, 0.0425, 0.0730, 0.0182};
  for (size_t i = 0; i < std::size(kTypes); ++i) CHECK(relativeRms(kTypes[i], normalRow(65536, 0, 1)) < bounds[i]);
}

TEST(quantize_row_keeps_rows_of_one_value) {
  for (const DType type : kTypes)
    for (const float value : {0.0f, 1.0f, -1.0f, 0.0123f, -250.0f})
      CHECK(relativeRms(type, std::vector<float>(512, value)) < 0.01);  // Q6_K of 0.0123: d is a subnormal binary16
}

TEST(quantize_row_survives_outliers_and_one_sided_rows) {
  for (const DType type : kTypes) {
    std::vector<float> row = normalRow(512, 0, 2);
    row[100] = 4;
    row[300] = -3;
    CHECK(relativeRms(type, row) < 0.1);
    CHECK(relativeRms(type, normalRow(512, 0.2f, 3)) < 0.06);
    CHECK(relativeRms(type, normalRow(512, -0.2f, 4)) < 0.06);
    CHECK(relativeRms(type, std::vector<float>(512, 1e-20f)) <= 1);  // below binary16: becomes zero
  }
}

TEST(quantize_row_names_what_it_cannot_do) {
  std::vector<float> row(32);
  uint8_t blocks[256];
  CHECK_ERROR("invalid_weights", "32 columns", quantizeRow(DType::kQ4_K, row.data(), 32, blocks));
  CHECK_ERROR("invalid_weights", "columns", quantizeRow(DType::kQ4_1, row.data(), 32, blocks));
}
