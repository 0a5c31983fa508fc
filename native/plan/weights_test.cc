#include <cstdio>
#include <cstring>
#include <fstream>

#include <unistd.h>

#include "cpu/kernels/half.h"
#include "plan/bind_weights.h"
#include "plan/mapped_file.h"
#include "testing/testing.h"

namespace mistralrs {
namespace {

// A file of floats 0, 1, 2, ..., deleted at the end.
class CountingFile {
 public:
  explicit CountingFile(int count) {
    const char* folder = std::getenv("TMPDIR");
    path_ = std::string(folder ? folder : "/tmp") + "/mistralrs_weights_test_" + std::to_string(::getpid());
    std::ofstream file(path_, std::ios::binary);
    for (int i = 0; i < count; ++i) {
      const auto value = static_cast<float>(i);
      file.write(reinterpret_cast<const char*>(&value), 4);
    }
  }
  ~CountingFile() { std::remove(path_.c_str()); }
  const std::string& path() const { return path_; }
  WeightPartSpec part(int64_t firstFloat, int64_t rows, int64_t cols) const {
    return {path_, firstFloat * 4, rows * cols * 4, DType::kF32, rows, cols, 0, 0};
  }

 private:
  std::string path_;
};

Plan planOf(int64_t rows, int64_t cols) {
  Plan plan;
  plan.weights = {{"w", rows, cols}};
  return plan;
}

std::vector<float> row(const Weight& weight, int64_t index) {
  std::vector<float> values(static_cast<size_t>(weight.cols));
  weight.readRow(index, values.data());
  return values;
}

TEST(weightsStackParts) {
  const CountingFile file(100);
  const Weight weight = bindWeights(planOf(5, 4), {{"w", 5, 4, {file.part(40, 2, 4), file.part(0, 3, 4)}}})[0];
  CHECK_EQ(row(weight, 1)[0], 44.0f);
  CHECK_EQ(row(weight, 2)[3], 3.0f);
  CHECK_EQ(row(weight, 4)[0], 8.0f);
  CHECK_EQ(storedBytes({weight}), 80);
  CHECK(weight.readBlocks(2, nullptr) == weight.parts[1].data);  // straight from the map
}

TEST(weightsUndoTheRowOrderOfLlamaCpp) {
  const CountingFile file(12);
  WeightPartSpec part = file.part(0, 12, 1);
  part.unpermuteHeads = 2;  // two heads of six rows: source 2i + j becomes 3j + i
  const Weight weight = bindWeights(planOf(12, 1), {{"w", 12, 1, {part}}})[0];
  const float expected[] = {0, 2, 4, 1, 3, 5, 6, 8, 10, 7, 9, 11};
  for (int i = 0; i < 12; ++i) CHECK_EQ(row(weight, i)[0], expected[i]);
}

TEST(weightsAddAScalarInTheStoredType) {
  const CountingFile file(8);
  WeightPartSpec part = file.part(0, 1, 8);
  part.addScalar = 0.5f;
  const Weight weight = bindWeights(planOf(1, 8), {{"w", 1, 8, {part}}})[0];
  CHECK_EQ(row(weight, 0)[3], 3.5f);
  float blocks[8];
  CHECK(weight.readBlocks(0, blocks) == blocks);
  CHECK_EQ(blocks[3], 3.5f);

  WeightPartSpec halves{file.path(), 4, 2 * 8, DType::kF16, 1, 8, 0, 1};  // bits 0x0000, 0x3f80, ..: 0, 1.875, ..
  const Weight half = bindWeights(planOf(1, 8), {{"w", 1, 8, {halves}}})[0];
  uint16_t bits[8];
  half.readBlocks(0, bits);
  CHECK_EQ(halfToFloat(bits[1]), 2.875f);
  halves.type = DType::kBF16;
  const Weight bfloat = bindWeights(planOf(1, 8), {{"w", 1, 8, {halves}}})[0];
  bfloat.readBlocks(0, bits);
  CHECK_EQ(bf16ToFloat(bits[1]), 2.0f);
}

TEST(weightsQuantizeForLinearOpsOnly) {
  const CountingFile file(64);
  WeightSpec spec{"w", 2, 32, {file.part(0, 2, 32)}, true, DType::kQ8_0};
  const Weight weight = bindWeights(planOf(2, 32), {spec})[0];
  CHECK(weight.packedType(weight.parts[0]) == DType::kQ8_0);
  CHECK_EQ(row(weight, 1)[1], 33.0f);
  std::vector<float> linear(32);
  weight.readLinearRow(1, linear.data());
  CHECK(linear[1] != 33.0f);
  CHECK_NEAR(linear[1], 33, 0.3);
}

TEST(weightsNameWhatDoesNotFit) {
  const CountingFile file(64);
  const auto bind = [&](const WeightSpec& spec) { bindWeights(planOf(4, 8), {spec}); };
  const WeightPartSpec good = file.part(0, 4, 8);
  const auto with = [&](auto change) {
    WeightPartSpec part = good;
    change(part);
    return WeightSpec{"w", 4, 8, {part}};
  };
  bind({"w", 4, 8, {good}});
  CHECK_ERROR("invalid_weights", "w: the plan needs it, none is given", bindWeights(planOf(4, 8), {}));
  CHECK_ERROR("invalid_weights", "x: the plan has no such weight", bindWeights(planOf(4, 8), {{"w", 4, 8, {good}}, {"x", 4, 8, {good}}}));
  CHECK_ERROR("invalid_weights", "w: is given twice", bindWeights(planOf(4, 8), {{"w", 4, 8, {good}}, {"w", 4, 8, {good}}}));
  CHECK_ERROR("invalid_weights", "w: is [8, 4], the plan needs [4, 8]", bind({"w", 8, 4, {good}}));
  CHECK_ERROR("invalid_weights", "its parts have 8 rows in all, needs 4", bind({"w", 4, 8, {good, good}}));
  CHECK_ERROR("invalid_weights", "its parts have 0 rows", bind({"w", 4, 8, {}}));
  CHECK_ERROR("invalid_weights", "a part is [4, 4]", bind(with([](auto& p) { p.cols = 4; })));
  CHECK_ERROR("invalid_weights", "a part is [-1, 8]", bind(with([](auto& p) { p.rows = -1; })));
  CHECK_ERROR("invalid_weights", "takes 32 bytes a row, the part has 127 bytes", bind(with([](auto& p) { p.bytes = 127; })));
  CHECK_ERROR("invalid_weights", "lie outside", bind(with([](auto& p) { p.offset = 132; })));
  CHECK_ERROR("invalid_weights", "lie outside", bind(with([](auto& p) { p.offset = -1; })));
  CHECK_ERROR("invalid_weights", "lie outside", bind(with([](auto& p) { p.offset = std::numeric_limits<int64_t>::max(); })));
  CHECK_ERROR("invalid_weights", "Q8_0 needs a multiple of 32 columns, there are 8", bind(with([](auto& p) { p.type = DType::kQ8_0; })));
  CHECK_ERROR("invalid_weights", "4 rows do not fall into 3 heads", bind(with([](auto& p) { p.unpermuteHeads = 3; })));
  CHECK_ERROR("invalid_weights", "addScalar needs a float type", bind(with([](auto& p) { p.addScalar = std::numeric_limits<float>::infinity(); })));
  CHECK_ERROR("invalid_weights", "Q4_K needs a multiple of 256", bind({"w", 4, 8, {good}, true, DType::kQ4_K}));
  CHECK_ERROR("invalid_weights", "cannot be quantized to Q4_1", bind({"w", 4, 8, {good}, true, DType::kQ4_1}));
  CHECK_ERROR("io", "cannot open /no/such/file", bind(with([](auto& p) { p.path = "/no/such/file"; })));
  CHECK_ERROR("io", "not a regular file: /dev/null", bind(with([](auto& p) { p.path = "/dev/null"; })));
}

}  // namespace
}  // namespace mistralrs
