// From a LoadSpec to a model that runs: no JavaScript here.
#pragma once
#include <atomic>
#include <functional>
#include <memory>

#include "addon/read_spec.h"
#include "plan/model_runner.h"

namespace mistralrs {

using LoadProgress = std::function<void(int64_t doneBytes, int64_t totalBytes)>;

// Throws Error as NativeBinding.load does, or `interrupted`. `progress` is called at most ten times a second, and at the end.
std::unique_ptr<ModelRunner> loadModel(const LoadSpec& spec, const LoadProgress& progress, const std::atomic<bool>& interrupt);

}  // namespace mistralrs
