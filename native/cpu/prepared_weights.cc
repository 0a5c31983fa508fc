#include "cpu/prepared_weights.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <thread>

#include "plan/bind_weights.h"
#include "plan/error.h"

namespace mistralrs {
namespace {

enum Use : uint8_t { kPanels = 1, kVector = 2 };

std::vector<uint8_t> usesOf(const Plan& plan) {
  std::vector<uint8_t> uses(plan.weights.size());
  const auto mark = [&](int weight, Use use) {
    if (weight >= 0) uses[weight] |= use;
  };
  for (const Op& op : plan.ops) {
    const bool linear = op.kind == OpKind::kLinear || op.kind == OpKind::kGatedLinear;
    for (int weight : op.weights)
      if (linear) mark(weight, kPanels);
      else if (op.kind == OpKind::kScale) mark(weight, kVector);
    for (int bias : op.biases) mark(bias, kVector);
    if (op.norm.present) mark(op.norm.weight, kVector);
    mark(op.scaleWeight, kVector);
  }
  return uses;
}

// Where runs end; panels of gate and up pair up only when the inner ends are whole panels.
std::vector<PanelRun> runsOf(const Weight& weight) {
  std::vector<PanelRun> runs;
  int64_t row = 0;
  for (const WeightPart& part : weight.parts) {
    const int32_t type = static_cast<int32_t>(weight.packedType(part));
    if (runs.empty() || runs.back().packed.type != type)
      runs.push_back({{type, 0, static_cast<int32_t>(weight.cols), 0, nullptr}, row});
    runs.back().packed.rows += static_cast<int32_t>(part.rows);
    row += part.rows;
  }
  return runs;
}

bool hasRaggedRuns(const std::vector<PanelRun>& runs) {
  return std::any_of(runs.begin(), runs.end(), [&](const PanelRun& run) { return run.rowBegin % kPanelRows != 0; });
}

// Gives the pages of a weight's files back; an embedding's rows come again from the page cache as they are needed.
void unmapPages(const Weight& weight) {
  const uintptr_t page = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE));
  for (const WeightPart& part : weight.parts) {
    if (!part.file) continue;  // not a mapping
    const uintptr_t begin = reinterpret_cast<uintptr_t>(part.data), end = begin + static_cast<uintptr_t>(part.rows * rowBytes(part.type, part.cols));
    const uintptr_t first = (begin + page - 1) / page * page, last = end / page * page;
    if (first < last) madvise(reinterpret_cast<void*>(first), last - first, MADV_DONTNEED);  // refusal only costs memory
  }
}

// A few panels of one run: what a thread packs at a time. Without a run, 16 rows of an embedding, only to be checked.
struct Work {
  int weight;
  const PanelRun* run;
  int panelBegin, panelEnd;
  bool asFloats;
};

void requireFinite(bool finite, const Weight& weight, int64_t row) {
  if (!finite) throw Error("invalid_weights", format("%s: row %lld holds a NaN or an infinity", weight.name.c_str(), static_cast<long long>(row)));
}

void readFinite(const Weight& weight, int64_t row, float* out) {
  weight.readRow(row, out);
  requireFinite(std::all_of(out, out + weight.cols, [](float x) { return std::isfinite(x); }), weight, row);
}

void check(const Work& work, const Weight& weight) {
  const int64_t end = std::min(weight.rows, int64_t{work.panelEnd} * kPanelRows);
  std::vector<float> scratch(static_cast<size_t>(weight.cols));  // blocks of any type are smaller
  int64_t row = 0;
  for (const WeightPart& part : weight.parts)
    for (const int64_t partEnd = row + part.rows; row < partEnd; ++row) {
      if (row < int64_t{work.panelBegin} * kPanelRows || row >= end) continue;
      requireFinite(checkFinite(weight.packedType(part), weight.readBlocks(row, scratch.data()), weight.cols), weight, row);
    }
}

void pack(const Work& work, const Weight& weight, const KernelTable& kernels) {
  const PackedWeight& packed = work.run->packed;
  const int64_t bytesOfRow = rowBytes(static_cast<DType>(packed.type), packed.cols);
  std::vector<uint8_t> scratch(static_cast<size_t>(bytesOfRow * kPanelRows));
  for (int panel = work.panelBegin; panel < work.panelEnd; ++panel) {
    const void* rows[kPanelRows] = {};
    for (int i = 0; i < kPanelRows && panel * kPanelRows + i < packed.rows; ++i) {
      const int64_t row = work.run->rowBegin + panel * kPanelRows + i;
      uint8_t* own = scratch.data() + i * bytesOfRow;
      if (work.asFloats) {
        weight.readLinearRow(row, reinterpret_cast<float*>(own));
        rows[i] = own;
      } else {
        rows[i] = weight.readBlocks(row, own);
      }
      requireFinite(checkFinite(static_cast<DType>(packed.type), rows[i], packed.cols), weight, row);
    }
    kernels.packPanel(packed.type, packed.cols, rows, const_cast<uint8_t*>(packed.data) + panel * packed.panelBytes);
  }
}

// Sets the runs of every operand of a linear op; `asFloats` marks those whose rows are widened.
void chooseRuns(const Plan& plan, const std::vector<uint8_t>& uses, PreparedWeights& result, std::vector<bool>& asFloats) {
  for (size_t i = 0; i < result.sources.size(); ++i)
    if (uses[i] & kPanels) result.panels[i] = runsOf(result.sources[i]);
  for (const Op& op : plan.ops) {
    if (op.kind != OpKind::kGatedLinear) continue;
    // Stacked slices of several types that end within a panel: rare enough to spend memory instead of code.
    for (int weight : op.weights) {
      if (!hasRaggedRuns(result.panels[weight])) continue;
      const int32_t rows = static_cast<int32_t>(result.sources[weight].rows), cols = static_cast<int32_t>(result.sources[weight].cols);
      result.panels[weight] = {{{static_cast<int32_t>(DType::kF32), rows, cols, 0, nullptr}, 0}};
      asFloats[weight] = true;
    }
  }
}

void allocatePanels(const KernelTable& kernels, PreparedWeights& result) {
  const auto bytesOf = [](const PanelRun& run) { return (run.packed.panelBytes * run.panels() + 63) & ~int64_t{63}; };
  for (std::vector<PanelRun>& runs : result.panels)
    for (PanelRun& run : runs) {
      run.packed.panelBytes = kernels.panelBytes(run.packed.type, run.packed.cols);
      result.bytes += bytesOf(run);
    }
  result.packed = Memory(result.bytes, "packed weights");
  uint8_t* at = result.packed.data();
  for (std::vector<PanelRun>& runs : result.panels)
    for (PanelRun& run : runs) {
      run.packed.data = at;
      at += bytesOf(run);
    }
}

std::vector<float> readVector(const Weight& weight) {
  std::vector<float> values(static_cast<size_t>(weight.rows * weight.cols));
  for (int64_t row = 0; row < weight.rows; ++row) readFinite(weight, row, values.data() + row * weight.cols);
  return values;
}

}  // namespace

PreparedWeights prepareWeights(const Plan& plan, std::vector<Weight> weights, const KernelTable& kernels, ThreadPool& pool,
                               const Progress& progress) {
  PreparedWeights result;
  result.sources = std::move(weights);
  const std::vector<uint8_t> uses = usesOf(plan);
  const size_t count = result.sources.size();
  result.panels.resize(count);
  result.vectors.resize(count);
  std::vector<bool> asFloats(count);
  chooseRuns(plan, uses, result, asFloats);
  allocatePanels(kernels, result);

  constexpr int64_t kWorkBytes = 1 << 20;
  std::vector<Work> works;
  std::vector<int64_t> storedPerPanel(count);
  std::atomic<int64_t> doneBytes{0};
  for (size_t i = 0; i < count; ++i) {
    const Weight& source = result.sources[i];
    int panels = 0;
    const auto schedule = [&](const PanelRun* run, int count, int64_t panelBytes) {
      const int step = static_cast<int>(std::max<int64_t>(1, kWorkBytes / panelBytes));
      for (int panel = 0; panel < count; panel += step)
        works.push_back({static_cast<int>(i), run, panel, std::min(count, panel + step), asFloats[i]});
      panels += count;
    };
    for (const PanelRun& run : result.panels[i]) schedule(&run, run.panels(), run.packed.panelBytes);
    if (uses[i] & kVector) {
      result.vectors[i] = readVector(source);
      result.bytes += source.rows * source.cols * 4;
    } else if (panels == 0) {
      schedule(nullptr, static_cast<int>((source.rows + kPanelRows - 1) / kPanelRows), kPanelRows * source.cols * 4);
    }
    if (panels) storedPerPanel[i] = storedBytes({source}) / panels;
    else doneBytes += storedBytes({source});
  }

  const std::thread::id caller = std::this_thread::get_id();
  pool.parallel(static_cast<int>(works.size()), [&](int item) {
    const Work& work = works[item];
    if (work.run) pack(work, result.sources[work.weight], kernels);
    else check(work, result.sources[work.weight]);
    doneBytes += storedPerPanel[work.weight] * (work.panelEnd - work.panelBegin);
    if (progress && std::this_thread::get_id() == caller) progress(doneBytes);
  });
  for (const Weight& weight : result.sources) unmapPages(weight);
  if (progress) progress(storedBytes(result.sources));
  return result;
}

}  // namespace mistralrs
