// The integers of a step in device memory: the batch and the work lists of attention, in regions that stay where they are from step
// to step, so that a recorded graph finds the next step's values.
#pragma once
#include <cstdint>
#include <vector>

#include "cuda/device.h"

namespace mistralrs::cuda {

class StepInputs {
 public:
  StepInputs(const Device& device, int numRegions) : device_(device), values_(numRegions), offsets_(numRegions), capacities_(numRegions) {}

  // The region's values for the next upload, as ints.
  std::vector<int32_t>& region(int index) { return values_[index]; }
  template <typename Struct>
  void set(int index, const std::vector<Struct>& items) {
    static_assert(sizeof(Struct) % sizeof(int32_t) == 0);
    const auto* ints = reinterpret_cast<const int32_t*>(items.data());
    values_[index].assign(ints, ints + items.size() * (sizeof(Struct) / sizeof(int32_t)));
  }

  // Copies all regions, in stream order. True when they moved, as one outgrew its place: graphs recorded before are void.
  bool upload();

  template <typename T = int32_t>
  const T* at(int index) const {
    return reinterpret_cast<const T*>(reinterpret_cast<const int32_t*>(memory_.data()) + offsets_[index]);
  }

 private:
  bool place();
  const Device& device_;
  std::vector<std::vector<int32_t>> values_;
  std::vector<int64_t> offsets_, capacities_;
  DeviceMemory memory_, staging_;
};

}  // namespace mistralrs::cuda
