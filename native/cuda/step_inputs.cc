#include "cuda/step_inputs.h"

#include <algorithm>
#include <bit>
#include <cstring>

namespace mistralrs::cuda {

// Returns whether anything had to move.
bool StepInputs::place() {
  constexpr int64_t kSmallest = 64;
  bool fits = memory_.data() != nullptr;
  for (size_t i = 0; i < values_.size(); ++i) fits = fits && static_cast<int64_t>(values_[i].size()) <= capacities_[i];
  if (fits) return false;
  int64_t end = 0;
  for (size_t i = 0; i < values_.size(); ++i) {
    const auto needed = std::bit_ceil(values_[i].size());
    capacities_[i] = std::max({kSmallest, capacities_[i], static_cast<int64_t>(needed)});
    offsets_[i] = end;
    end += capacities_[i];
  }
  memory_ = DeviceMemory(device_, end * 4, "step inputs");
  staging_ = DeviceMemory(device_, end * 4, "step inputs", DeviceMemory::kPinned);
  return true;
}

bool StepInputs::upload() {
  const bool moved = place();
  int64_t end = 0;
  for (size_t i = 0; i < values_.size(); ++i) {
    if (values_[i].empty()) continue;
    std::memcpy(staging_.data() + offsets_[i] * 4, values_[i].data(), values_[i].size() * 4);
    end = offsets_[i] + static_cast<int64_t>(values_[i].size());
  }
  device_.copy(memory_.data(), staging_.data(), end * 4);
  return moved;
}

}  // namespace mistralrs::cuda
