#include "cuda/decode_graphs.h"

namespace mistralrs::cuda {
namespace {

constexpr size_t kMaxGraphs = 256;  // a few megabytes each

}  // namespace

void DecodeGraphs::run(const GraphKey& key, const std::function<void()>& enqueue) {
  if (graphs_.size() >= kMaxGraphs && !graphs_.contains(key)) clear();
  const auto [entry, isNew] = graphs_.try_emplace(key, nullptr);
  if (isNew) return enqueue();
  if (!entry->second) entry->second = record(enqueue);
  device_.check(device_.kernels().launchGraph(entry->second, device_.stream()), "launching a graph");
}

void* DecodeGraphs::record(const std::function<void()>& enqueue) const {
  const CudaKernelTable& kernels = device_.kernels();
  void* graph = nullptr;
  device_.check(kernels.beginCapture(device_.stream()), "recording a graph");
  try {
    enqueue();
  } catch (...) {
    if (kernels.endCapture(device_.stream(), &graph) == 0) kernels.destroyGraph(graph);
    throw;
  }
  device_.check(kernels.endCapture(device_.stream(), &graph), "recording a graph");
  return graph;
}

void DecodeGraphs::clear() {
  for (const auto& [key, graph] : graphs_)
    if (graph) device_.kernels().destroyGraph(graph);
  graphs_.clear();
}

}  // namespace mistralrs::cuda
