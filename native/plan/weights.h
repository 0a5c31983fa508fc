// Weights as they lie in mapped files, and the one way to read them: rows as float32, or raw blocks.
#pragma once
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace mistralrs {

// Numbers are ggml's type ids, so that file readers and packers share one table.
enum class DType : uint8_t {
  kF32 = 0, kF16 = 1, kQ4_0 = 2, kQ4_1 = 3, kQ5_0 = 6, kQ5_1 = 7, kQ8_0 = 8,
  kQ2_K = 10, kQ3_K = 11, kQ4_K = 12, kQ5_K = 13, kQ6_K = 14, kIQ4_NL = 20, kIQ4_XS = 23, kBF16 = 30,
};
struct DTypeInfo {
  const char* name;
  int blockElements, blockBytes;
};
const DTypeInfo& info(DType type);  // dtype.cc
int64_t rowBytes(DType type, int64_t cols);
std::optional<DType> dtypeByName(std::string_view name);

// Dequantizes one row of `cols` elements (a multiple of the block size). dequantize.cc; the oracle for every packer.
void dequantizeRow(DType type, const void* blocks, int64_t cols, float* out);
// False when a scale (or, of a float type, an element) is NaN or infinite.
bool checkFinite(DType type, const void* blocks, int64_t cols);
// The reverse for in-situ quantization (Q4_K, Q5_0, Q6_K, Q8_0). quantize.cc
void quantizeRow(DType type, const float* row, int64_t cols, void* blocks);

class MappedFile;  // read-only mmap of a whole file, shared by all its weights

struct WeightPart {
  std::shared_ptr<MappedFile> file;
  const uint8_t* data = nullptr;  // first block of row 0
  DType type;
  int64_t rows = 0, cols = 0;
  int unpermuteHeads = 0;  // 0: rows are in order
  float addScalar = 0;
};

// One weight of the plan: parts stacked along rows.
struct Weight {
  std::string name;
  int64_t rows = 0, cols = 0;
  std::vector<WeightPart> parts;
  bool quantize = false;  // quantize to `quantizeType` while packing
  DType quantizeType = DType::kQ8_0;

  // The type a backend packs row r's part in: the target of in-situ quantization, else the stored one.
  DType packedType(const WeightPart& part) const { return quantize ? quantizeType : part.type; }
  // Row `row` of this weight as float32 as `embed` and vectors read it (transforms applied, quantize NOT applied).
  void readRow(int64_t row, float* out) const;
  // Row `row` as a linear op sees it: after in-situ quantization, dequantized.
  void readLinearRow(int64_t row, float* out) const;
  // Row `row` as blocks of packedType: a pointer into the map when nothing changes, else `scratch` (rowBytes large) filled.
  const void* readBlocks(int64_t row, void* scratch) const;
};

}  // namespace mistralrs
