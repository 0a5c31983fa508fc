#include <cstring>
#include <fstream>
#include <iterator>
#include <limits>

#include "plan/weights.h"
#include "testing/testing.h"

namespace mistralrs {
namespace {

// testing/make_dequantize_golden.py
TEST(dequantizeGivesTheReferenceValuesBitForBit) {
  std::ifstream file(MISTRALRS_SOURCE_DIR "/testing/data/dequantize.bin", std::ios::binary);
  const std::vector<char> data((std::istreambuf_iterator<char>(file)), {});
  size_t at = 0;
  int types = 0;
  while (at < data.size()) {
    uint32_t header[3];
    std::memcpy(header, &data[at], sizeof(header));
    at += sizeof(header);
    const auto type = static_cast<DType>(header[0]);
    const int64_t cols = header[1];
    CHECK_EQ(rowBytes(type, cols), int64_t{header[2]});
    std::vector<float> values(static_cast<size_t>(cols)), expected(values.size());
    dequantizeRow(type, &data[at], cols, values.data());
    CHECK(checkFinite(type, &data[at], cols));
    at += header[2];
    std::memcpy(expected.data(), &data[at], expected.size() * 4);
    at += expected.size() * 4;
    for (size_t i = 0; i < values.size(); ++i) {
      if (values[i] == expected[i]) continue;
      CHECK_EQ(std::string(info(type).name) + " column " + std::to_string(i) + ": " + std::to_string(values[i]),
               std::to_string(expected[i]));
      break;
    }
    ++types;
  }
  CHECK_EQ(types, 15);
}

TEST(dtypeByNameKnowsEveryTypeAndNoOther) {
  for (const char* name : {"F32", "F16", "BF16", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K", "IQ4_NL", "IQ4_XS"}) {
    const auto type = dtypeByName(name);
    CHECK(type.has_value());
    if (type) CHECK_EQ(std::string(info(*type).name), name);
  }
  for (const char* name : {"", "unknown", "q4_0", "Q8_1", "F64"}) CHECK(!dtypeByName(name).has_value());
}

// A NaN or an infinity in any 16-bit field of any block is found; everything else about the bytes is free.
TEST(checkFiniteFindsBadScales) {
  const struct { DType type; std::vector<int> halves; } cases[] = {
      {DType::kQ4_0, {0}}, {DType::kQ4_1, {0, 2}}, {DType::kQ5_0, {0}}, {DType::kQ5_1, {0, 2}}, {DType::kQ8_0, {0}},
      {DType::kQ2_K, {80, 82}}, {DType::kQ3_K, {108}}, {DType::kQ4_K, {0, 2}}, {DType::kQ5_K, {0, 2}}, {DType::kQ6_K, {208}},
      {DType::kIQ4_NL, {0}}, {DType::kIQ4_XS, {0}}, {DType::kF16, {0, 6}}, {DType::kBF16, {0, 6}},
  };
  for (const auto& c : cases) {
    const int64_t cols = 512;
    std::vector<uint8_t> row(static_cast<size_t>(rowBytes(c.type, cols)), 0x3c);
    CHECK(checkFinite(c.type, row.data(), cols));
    for (int half : c.halves)
      for (uint16_t bad : {uint16_t{0x7e00}, uint16_t{0x7c00}, uint16_t{0xfc01}}) {
        std::vector<uint8_t> copy = row;
        const uint16_t bits = c.type == DType::kBF16 ? static_cast<uint16_t>(bad | 0x7f80) : bad;
        const int lastBlock = static_cast<int>(cols / info(c.type).blockElements - 1) * info(c.type).blockBytes;
        std::memcpy(&copy[static_cast<size_t>(c.type == DType::kF16 || c.type == DType::kBF16 ? half : lastBlock + half)], &bits, 2);
        if (checkFinite(c.type, copy.data(), cols)) CHECK_EQ(std::string("finite"), info(c.type).name);
      }
  }
  for (float bad : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
    const float row[3] = {1, std::numeric_limits<float>::max(), bad};
    CHECK(checkFinite(DType::kF32, row, 2));
    CHECK(!checkFinite(DType::kF32, row, 3));
  }
}

}  // namespace
}  // namespace mistralrs
