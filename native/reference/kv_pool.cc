#include "reference/kv_pool.h"

#include <cstring>

#include "cpu/kernels/half.h"

namespace mistralrs::reference {

// All bits set is a NaN in binary16 and in float32.
KvPool::KvPool(const BackendOptions& options)
    : pageBytes_(options.pageBytes), f16_(options.kvType == KvType::kF16),
      bytes_(static_cast<size_t>(options.numPages * options.pageBytes), options.poison ? 0xff : 0) {}

int64_t KvPool::offset(const KvGroup& group, int layer, int32_t page, int token, int kvHead, Part part) const {
  const int64_t tokenIndex = (int64_t{layer} * 2 + part) * group.pageTokens + token;
  const int64_t element = (tokenIndex * group.kvHeads + kvHead) * group.headDim;
  return page * pageBytes_ + element * (f16_ ? 2 : 4);
}

void KvPool::write(const KvGroup& group, int layer, int32_t page, int token, int kvHead, Part part, const float* values) {
  uint8_t* to = bytes_.data() + offset(group, layer, page, token, kvHead, part);
  for (int i = 0; i < group.headDim; ++i) {
    if (f16_) {
      const uint16_t half = floatToHalf(values[i]);
      std::memcpy(to + i * 2, &half, 2);
    } else {
      std::memcpy(to + i * 4, &values[i], 4);
    }
  }
}

void KvPool::read(const KvGroup& group, int layer, int32_t page, int token, int kvHead, Part part, float* values) const {
  const uint8_t* from = bytes_.data() + offset(group, layer, page, token, kvHead, part);
  for (int i = 0; i < group.headDim; ++i) {
    if (f16_) {
      uint16_t half;
      std::memcpy(&half, from + i * 2, 2);
      values[i] = halfToFloat(half);
    } else {
      std::memcpy(&values[i], from + i * 4, 4);
    }
  }
}

void KvPool::copyPage(int32_t from, int32_t to) {
  std::memcpy(bytes_.data() + to * pageBytes_, bytes_.data() + from * pageBytes_, static_cast<size_t>(pageBytes_));
}

}  // namespace mistralrs::reference
