#include "plan/weights.h"

namespace mistralrs {

// Block sizes: ggml-common.h of ggml, the block_* structs.
const DTypeInfo& info(DType type) {
  static constexpr DTypeInfo kF32{"F32", 1, 4}, kF16{"F16", 1, 2}, kBF16{"BF16", 1, 2};
  static constexpr DTypeInfo kQ4_0{"Q4_0", 32, 18}, kQ4_1{"Q4_1", 32, 20}, kQ5_0{"Q5_0", 32, 22}, kQ5_1{"Q5_1", 32, 24};
  static constexpr DTypeInfo kQ8_0{"Q8_0", 32, 34}, kIQ4_NL{"IQ4_NL", 32, 18}, kIQ4_XS{"IQ4_XS", 256, 136};
  static constexpr DTypeInfo kQ2_K{"Q2_K", 256, 84}, kQ3_K{"Q3_K", 256, 110}, kQ4_K{"Q4_K", 256, 144};
  static constexpr DTypeInfo kQ5_K{"Q5_K", 256, 176}, kQ6_K{"Q6_K", 256, 210};
  switch (type) {
    case DType::kF32: return kF32;
    case DType::kF16: return kF16;
    case DType::kBF16: return kBF16;
    case DType::kQ4_0: return kQ4_0;
    case DType::kQ4_1: return kQ4_1;
    case DType::kQ5_0: return kQ5_0;
    case DType::kQ5_1: return kQ5_1;
    case DType::kQ8_0: return kQ8_0;
    case DType::kQ2_K: return kQ2_K;
    case DType::kQ3_K: return kQ3_K;
    case DType::kQ4_K: return kQ4_K;
    case DType::kQ5_K: return kQ5_K;
    case DType::kQ6_K: return kQ6_K;
    case DType::kIQ4_NL: return kIQ4_NL;
    case DType::kIQ4_XS: return kIQ4_XS;
  }
  static constexpr DTypeInfo kUnknown{"unknown", 1, 0};
  return kUnknown;  // an id of the table ggml has and we have not
}

int64_t rowBytes(DType type, int64_t cols) {
  const DTypeInfo& t = info(type);
  return cols / t.blockElements * t.blockBytes;
}

std::optional<DType> dtypeByName(std::string_view name) {
  for (int id = 0; id <= static_cast<int>(DType::kBF16); ++id) {
    const auto type = static_cast<DType>(id);
    if (info(type).blockBytes > 0 && name == info(type).name) return type;
  }
  return std::nullopt;
}

}  // namespace mistralrs
