// The KV cache of the reference: pages of the pool's size, in a layout of its own. In a page, for each layer:
// keys [page_tokens, kv_heads, head_dim], then values likewise.
#pragma once
#include <cstdint>
#include <vector>

#include "plan/backend.h"

namespace mistralrs::reference {

class KvPool {
 public:
  explicit KvPool(const BackendOptions& options);

  enum Part { kKeys = 0, kValues = 1 };

  // One head of one token: `token` counts within the page. All head_dim values; f16 rounds to nearest even.
  void write(const KvGroup& group, int layer, int32_t page, int token, int kvHead, Part part, const float* values);
  void read(const KvGroup& group, int layer, int32_t page, int token, int kvHead, Part part, float* values) const;

  void copyPage(int32_t from, int32_t to);

 private:
  int64_t offset(const KvGroup& group, int layer, int32_t page, int token, int kvHead, Part part) const;

  const int64_t pageBytes_;
  const bool f16_;
  std::vector<uint8_t> bytes_;
};

}  // namespace mistralrs::reference
