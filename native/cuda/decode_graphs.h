// Recorded steps: a decode step of a small model is hundreds of launches of a few microseconds, which a graph replays without the host.
#pragma once
#include <compare>
#include <functional>
#include <map>

#include "cuda/device.h"

namespace mistralrs::cuda {

// All that decides which kernels a decode step launches, and with which arguments.
struct GraphKey {
  int tokens, logitRows, keyBucket;
  auto operator<=>(const GraphKey&) const = default;
};

class DecodeGraphs {
 public:
  explicit DecodeGraphs(const Device& device) : device_(device) {}
  ~DecodeGraphs() { clear(); }
  DecodeGraphs(const DecodeGraphs&) = delete;
  DecodeGraphs& operator=(const DecodeGraphs&) = delete;

  // Runs what `enqueue` launches: as it is the first time a key is seen, recorded the second, replayed from then on.
  void run(const GraphKey& key, const std::function<void()>& enqueue);
  void clear();

 private:
  void* record(const std::function<void()>& enqueue) const;

  const Device& device_;
  std::map<GraphKey, void*> graphs_;  // null: seen once
};

}  // namespace mistralrs::cuda
