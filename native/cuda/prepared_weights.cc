#include "cuda/prepared_weights.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "plan/bind_weights.h"
#include "plan/error.h"

namespace mistralrs::cuda {
namespace {

enum Use : uint8_t { kLinearUse = 1, kEmbedUse = 2, kVectorUse = 4 };

std::vector<uint8_t> usesOf(const Plan& plan) {
  std::vector<uint8_t> uses(plan.weights.size());
  const auto mark = [&](int weight, Use use) {
    if (weight >= 0) uses[weight] |= use;
  };
  for (const Op& op : plan.ops) {
    const bool linear = op.kind == OpKind::kLinear || op.kind == OpKind::kGatedLinear;
    for (int weight : op.weights) mark(weight, linear ? kLinearUse : op.kind == OpKind::kEmbed ? kEmbedUse : kVectorUse);
    for (int bias : op.biases) mark(bias, kVectorUse);
    if (op.norm.present) mark(op.norm.weight, kVectorUse);
    mark(op.scaleWeight, kVectorUse);
  }
  return uses;
}

// Where runs of one type lie; `data` holds offsets for now.
std::vector<WeightRun> runsOf(const Weight& weight, bool stored, const CudaKernelTable& kernels, int64_t& end) {
  std::vector<WeightRun> runs;
  int32_t row = 0;
  for (const WeightPart& part : weight.parts) {
    const auto type = static_cast<int32_t>(stored ? part.type : weight.packedType(part));
    if (runs.empty() || runs.back().weight.type != type) runs.push_back({{nullptr, type, 0, static_cast<int32_t>(weight.cols)}, row});
    runs.back().weight.rows += static_cast<int32_t>(part.rows);
    row += static_cast<int32_t>(part.rows);
  }
  for (WeightRun& run : runs) {
    run.weight.data = reinterpret_cast<const uint8_t*>(end);
    end += kernels.weightBytes(run.weight.type, run.weight.rows, run.weight.cols);
  }
  return runs;
}

[[noreturn]] void failRow(const Weight& weight, int64_t row) {
  throw Error("invalid_weights", format("%s: row %lld holds a NaN, an infinity or a value beyond the range of float16", weight.name.c_str(),
                                        static_cast<long long>(row)));
}

// Takes rows through pinned memory to the device, where they are packed.
class Uploader {
 public:
  static constexpr int64_t kStagingBytes = int64_t{32} << 20;
  Uploader(const Device& device, ThreadPool& pool)
      : device_(device), pool_(pool), host_(device, kStagingBytes, "weight staging", DeviceMemory::kPinned),
        staging_(device, kStagingBytes, "weight staging"), badRow_(device, sizeof(int32_t), "weight staging") {}

  void upload(const Weight& weight, const WeightRun& run, bool stored) {
    const int64_t bytesOfRow = rowBytes(static_cast<DType>(run.weight.type), weight.cols);
    const int64_t rowsAtOnce = std::max<int64_t>(1, kStagingBytes / bytesOfRow / kCudaPanelRows) * kCudaPanelRows;
    if (rowsAtOnce * bytesOfRow > kStagingBytes)
      throw Error("invalid_weights", format("%s: rows of %lld bytes are too long", weight.name.c_str(), static_cast<long long>(bytesOfRow)));
    constexpr int32_t kNone = std::numeric_limits<int32_t>::max();
    int32_t badRow = kNone;
    device_.copy(badRow_.data(), &badRow, sizeof badRow);
    for (int64_t row = 0; row < run.weight.rows; row += rowsAtOnce) {
      const int64_t rows = std::min<int64_t>(rowsAtOnce, run.weight.rows - row);
      device_.synchronize();  // the staging memory is free
      read(weight, run.firstRow + row, rows, bytesOfRow, stored);
      device_.copy(staging_.data(), host_.data(), rows * bytesOfRow);
      device_.check(device_.kernels().pack(run.weight, staging_.data(), static_cast<int32_t>(row), static_cast<int32_t>(rows),
                                           reinterpret_cast<int32_t*>(badRow_.data()), device_.stream()),
                    "packing weights");
    }
    device_.copy(&badRow, badRow_.data(), sizeof badRow);
    device_.synchronize();
    if (badRow != kNone) failRow(weight, run.firstRow + badRow);
  }

 private:
  void read(const Weight& weight, int64_t firstRow, int64_t rows, int64_t bytesOfRow, bool stored) {
    constexpr int64_t kRowsOfItem = 16;
    Weight asStored;
    if (stored && weight.quantize) {
      asStored = weight;
      asStored.quantize = false;
    }
    const Weight& source = stored && weight.quantize ? asStored : weight;
    pool_.parallel(static_cast<int>((rows + kRowsOfItem - 1) / kRowsOfItem), [&](int item) {
      for (int64_t row = item * kRowsOfItem; row < std::min(rows, (item + 1) * kRowsOfItem); ++row) {
        uint8_t* to = host_.data() + row * bytesOfRow;
        const void* blocks = source.readBlocks(firstRow + row, to);
        if (blocks != to) std::memcpy(to, blocks, static_cast<size_t>(bytesOfRow));
      }
    });
  }

  const Device& device_;
  ThreadPool& pool_;
  const DeviceMemory host_, staging_, badRow_;
};

}  // namespace

PreparedWeights prepareWeights(const Plan& plan, const std::vector<Weight>& weights, const Device& device, ThreadPool& pool,
                               const Progress& progress) {
  PreparedWeights result;
  const size_t count = weights.size();
  const std::vector<uint8_t> uses = usesOf(plan);
  result.linear.resize(count);
  result.embedding.resize(count);
  result.vectors.resize(count);
  int64_t bytes = 0;
  std::vector<int64_t> vectorAt(count);
  std::vector<float> floats;
  for (size_t i = 0; i < count; ++i) {
    const Weight& weight = weights[i];
    if (uses[i] & kLinearUse) result.linear[i] = runsOf(weight, false, device.kernels(), bytes);
    if (uses[i] & kEmbedUse) {
      const bool shared = (uses[i] & kLinearUse) && !weight.quantize;
      result.embedding[i] = shared ? result.linear[i] : runsOf(weight, true, device.kernels(), bytes);
    }
    if (uses[i] & kVectorUse) {
      vectorAt[i] = static_cast<int64_t>(floats.size());
      floats.resize(floats.size() + static_cast<size_t>(weight.cols + 3) / 4 * 4);
      float* values = floats.data() + vectorAt[i];
      weight.readRow(0, values);
      if (!std::all_of(values, values + weight.cols, [](float x) { return std::isfinite(x); })) failRow(weight, 0);
    }
  }
  result.matrices = DeviceMemory(device, bytes, "weights");
  result.floats = DeviceMemory(device, static_cast<int64_t>(floats.size()) * 4, "weights");
  if (bytes > 0) device.fill(result.matrices.data(), 0, bytes);  // missing rows and columns of panels
  if (!floats.empty()) device.copy(result.floats.data(), floats.data(), result.floats.bytes());

  Uploader uploader(device, pool);
  int64_t done = 0;
  for (size_t i = 0; i < count; ++i) {
    const auto place = [&](std::vector<WeightRun>& runs) {
      for (WeightRun& run : runs) run.weight.data = result.matrices.data() + reinterpret_cast<intptr_t>(run.weight.data);
    };
    place(result.linear[i]);
    place(result.embedding[i]);
    for (const WeightRun& run : result.linear[i]) uploader.upload(weights[i], run, false);
    if (result.linear[i].empty() || weights[i].quantize)
      for (const WeightRun& run : result.embedding[i]) uploader.upload(weights[i], run, true);
    if (uses[i] & kVectorUse) result.vectors[i] = result.floats.floats() + vectorAt[i];
    done += storedBytes({weights[i]});
    if (progress) progress(done);
  }
  device.synchronize();
  return result;
}

}  // namespace mistralrs::cuda
