// Every op of a plan on two backends: after each op of each batch, the columns it wrote.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <map>
#include <string>
#include <vector>

#include "plan/backend.h"
#include "plan/parse_op.h"
#include "tools/plan_run_files.h"

namespace mistralrs::plan_run {

// ||got - expected|| / ||expected||; not finite where either is not.
inline double distance(const std::vector<float>& got, const std::vector<float>& expected, size_t width, const View& view) {
  double difference = 0, size = 0;
  for (size_t i = 0; i < expected.size(); ++i) {
    const auto column = static_cast<int64_t>(i % width);
    if (column < view.column || column >= view.column + view.width) continue;
    const double d = static_cast<double>(got[i]) - expected[i];
    difference += d * d;
    size += static_cast<double>(expected[i]) * expected[i];
  }
  return difference == 0 ? 0 : std::sqrt(difference / size);
}

// What a backend says of a row must have the bits of the sampler's own passes.
inline void checkStats(const RowStats& stats, const float* logits, int vocab) {
  const auto blocks = stats.maxima.size();
  if (blocks == 0) return;
  std::vector<float> row(blocks * kRowBlock, -INFINITY), maxima(blocks);
  std::copy_n(logits, vocab, row.begin());
  blockMaxima(row.data(), static_cast<int>(blocks), maxima.data());
  std::vector<double> sums(blocks);
  blockSums(row.data(), static_cast<int>(blocks), *std::max_element(maxima.begin(), maxima.end()), 1, sums.data());
  for (size_t i = 0; i < blocks; ++i)
    if (maxima[i] != stats.maxima[i] || sums[i] != double{stats.sums[i]})
      throw Error("internal", format("block %zu of a row of logits: maximum %a and sum %a, must be %a and %a", i, stats.maxima[i], stats.sums[i],
                                     maxima[i], sums[i]));
}

// Prints the largest distance of each kind of op, and throws when one is beyond `tolerance`. Ops without an output show in what
// reads the cache. Then whole passes, `repeats` times over: they take other paths (graphs) and must give the same logits.
inline void compareBackends(const Plan& plan, const std::vector<Batch>& batches, Backend& backend, Backend& expected, int repeats, double tolerance) {
  const std::atomic<bool> interrupt{false};
  const int last = static_cast<int>(plan.ops.size()) - 1;
  std::map<std::string, double> worst;
  std::string failure;
  const auto take = [&](const std::string& what, const std::string& where, double distance) {
    double& largest = worst[what];
    if (!(distance <= largest)) largest = distance;
    if (!(distance <= tolerance) && failure.empty()) failure = format("%s: distance %.3g, tolerance %.3g", where.c_str(), distance, tolerance);
  };
  for (int repeat = 0; repeat <= repeats; ++repeat)
    for (size_t b = 0; b < batches.size(); ++b) {
      for (int i = repeat == 0 ? 0 : last; i <= last; ++i) {
        backend.forward(batches[b], i, interrupt);
        expected.forward(batches[b], i, interrupt);
        const View& out = plan.ops[i].out;
        if (!out) continue;
        const Buffer& buffer = plan.buffers[out.buffer];
        if (buffer.rows == RowSymbol::kLogitRows && batches[b].logitRows.empty()) continue;
        take(repeat == 0 ? opName(plan.ops[i].kind) : "whole", format("batch %zu, op %d (%s)", b, i, opName(plan.ops[i].kind)),
             distance(backend.readBuffer(out.buffer), expected.readBuffer(out.buffer), static_cast<size_t>(buffer.width), out));
      }
      const int64_t resultWidth = plan.buffers[plan.logits].width;
      const View row{0, 0, resultWidth};
      for (int l = 0; l < static_cast<int>(batches[b].logitRows.size()); ++l) {
        const float *got = backend.logits(l), *want = expected.logits(l);
        checkStats(backend.stats(l), got, static_cast<int>(resultWidth));
        take("logits", format("batch %zu, logits %d", b, l),
             distance({got, got + resultWidth}, {want, want + resultWidth}, static_cast<size_t>(resultWidth), row));
      }
    }
  for (const auto& [what, distance] : worst) std::printf("%s=%.2g ", what.c_str(), distance);
  std::printf("%s\n", failure.empty() ? "ok" : "FAILED");
  if (!failure.empty()) throw Error("internal", failure);
}

}  // namespace mistralrs::plan_run
