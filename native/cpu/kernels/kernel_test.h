// What the kernel tests share: the variants this machine can run, guarded buffers and random data.
#pragma once
#include <cmath>
#include <cstdio>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "cpu/kernel_library.h"
#include "plan/weights.h"
#include "testing/testing.h"

namespace mistralrs::testing {

inline const std::vector<const KernelTable*>& variants() {
  static const std::vector<const KernelTable*> all = [] {
    std::vector<const KernelTable*> found;
    for (const std::string& isa : availableIsas()) found.push_back(&openKernels(isa));
    std::printf("  variants:");
    for (const KernelTable* kernels : found) std::printf(" %s", kernels->name);
    std::printf("\n");
    return found;
  }();
  return all;
}

// 64-byte aligned bytes between guards that must stay as they are.
class AlignedBytes {
 public:
  explicit AlignedBytes(int64_t bytes) : bytes_(bytes), storage_(static_cast<size_t>(bytes) + 192, 0xa5) {}
  uint8_t* data() { return reinterpret_cast<uint8_t*>((reinterpret_cast<uintptr_t>(storage_.data()) + 127) & ~uintptr_t{63}); }
  bool intact() {
    for (const uint8_t* p = storage_.data(); p < data(); ++p)
      if (*p != 0xa5) return false;
    for (const uint8_t* p = data() + bytes_; p < storage_.data() + storage_.size(); ++p)
      if (*p != 0xa5) return false;
    return true;
  }

 private:
  int64_t bytes_;
  std::vector<uint8_t> storage_;
};

inline std::vector<float> randomFloats(int64_t n, uint32_t seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  std::vector<float> x(static_cast<size_t>(n));
  for (float& value : x) value = normal(random);
  return x;
}

}  // namespace mistralrs::testing
