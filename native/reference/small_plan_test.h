// Small plans for the tests of this folder: weights from numbers, inputs as embeddings of tokens 0, 1, 2, ...
#pragma once
#include <deque>
#include <memory>
#include <numeric>
#include <vector>

#include "plan/backend.h"
#include "testing/testing.h"

#pragma GCC diagnostic ignored "-Wmissing-field-initializers"  // g++ 12 means designated ones too: tests name what an op needs

namespace mistralrs::testing {

// `count` tokens of one sequence from `position` on: token ids first, first + 1, ...; pages[g] of group g; no logit rows.
inline Batch oneSequence(int count, int position, std::vector<std::vector<int32_t>> pages = {}, int first = 0) {
  Batch batch;
  batch.tokens.resize(count);
  batch.positions.resize(count);
  std::iota(batch.tokens.begin(), batch.tokens.end(), first);
  std::iota(batch.positions.begin(), batch.positions.end(), position);
  batch.queryStart = {0, count};
  batch.kvLength = {position + count};
  for (std::vector<int32_t>& table : pages) batch.pageTables.push_back({{0, static_cast<int32_t>(table.size())}, table});
  return batch;
}

struct SmallPlan {
  Plan plan;
  std::vector<Weight> weights;
  BackendOptions options{
      .threads = 2, .maxTokens = 16, .maxSequences = 4, .maxLogitRows = 8, .numPages = 4, .pageBytes = 4096, .poison = true};

  // A weight of float32 values, [rows, cols].
  int weight(int64_t rows, std::vector<float> values) {
    const int64_t cols = static_cast<int64_t>(values.size()) / rows;
    values_.push_back(std::move(values));
    const auto* data = reinterpret_cast<const uint8_t*>(values_.back().data());
    plan.weights.push_back({"w" + std::to_string(weights.size()), rows, cols});
    weights.push_back({plan.weights.back().name, rows, cols, {{nullptr, data, DType::kF32, rows, cols}}});
    return static_cast<int>(weights.size()) - 1;
  }

  // A buffer of its own place.
  View buffer(int64_t width, RowSymbol rows = RowSymbol::kTokens) {
    int64_t& end = plan.arenaWidth[static_cast<int>(rows)];
    plan.buffers.push_back({"b" + std::to_string(plan.buffers.size()), rows, width, end});
    end += (width + 15) / 16 * 16;
    return {static_cast<int>(plan.buffers.size()) - 1, 0, width};
  }

  // A buffer whose row t holds row `token of t` of `values`.
  View input(int64_t rows, std::vector<float> values) {
    const int source = weight(rows, std::move(values));
    const View out = buffer(weights[source].cols);
    op({.kind = OpKind::kEmbed, .out = out, .weights = {source}});
    return out;
  }

  void op(Op op) { plan.ops.push_back(std::move(op)); }

  std::unique_ptr<Backend> load() const { return makeReferenceBackend(plan, weights, options, {}); }

  // Contents of `view`'s buffer after one batch, on a backend of its own.
  std::vector<float> run(const View& view, const Batch& batch) const { return run(*load(), view, batch); }
  std::vector<float> run(Backend& backend, const View& view, const Batch& batch) const {
    const std::atomic<bool> interrupt{false};
    CHECK(backend.forward(batch, static_cast<int>(plan.ops.size()) - 1, interrupt));
    return backend.readBuffer(view.buffer);
  }

 private:
  std::deque<std::vector<float>> values_;  // stay where they are
};

inline void checkNearAll(const std::vector<float>& got, const std::vector<double>& expected, double tolerance, const char* file, int line) {
  checkEqual(got.size(), expected.size(), "size", file, line);
  for (size_t i = 0; i < std::min(got.size(), expected.size()); ++i)
    checkNear(got[i], expected[i], tolerance, ("[" + std::to_string(i) + "]").c_str(), file, line);
}

}  // namespace mistralrs::testing

#define CHECK_ALL_NEAR(got, tolerance, ...) ::mistralrs::testing::checkNearAll((got), {__VA_ARGS__}, (tolerance), __FILE__, __LINE__)
