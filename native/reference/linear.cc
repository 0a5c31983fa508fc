#include "reference/ops.h"
#include "reference/parallel.h"

namespace mistralrs::reference {
namespace {

// Eight sums, as a single chain of additions would wait for each; their order depends on `count` alone.
float dot(const float* a, const float* b, int64_t count) {
  constexpr int kSums = 8;
  double sums[kSums] = {};
  int64_t i = 0;
  for (; i + kSums <= count; i += kSums)
    for (int j = 0; j < kSums; ++j) sums[j] += static_cast<double>(a[i + j]) * b[i + j];
  for (int j = 0; i < count; ++i, ++j) sums[j] += static_cast<double>(a[i]) * b[i];
  double total = 0;
  for (const double sum : sums) total += sum;
  return static_cast<float>(total);
}

// The rows that meet the weights, [rows, in.width]: `in`, or its norm, which `normed` then holds.
Rows operand(const Op& op, Step& step, std::vector<float>& normed) {
  const Rows in = step.at(op.in);
  if (!op.norm.present) return in;
  const std::vector<float> weight = op.norm.weight < 0 ? std::vector<float>{} : step.vector(op.norm.weight);
  const int64_t rows = step.rows(op.in), width = op.in.width;
  normed.resize(static_cast<size_t>(rows * width));
  for (int64_t t = 0; t < rows; ++t)
    normalize(in.row(t), width, op.norm, weight.empty() ? nullptr : weight.data(), normed.data() + t * width);
  return {normed.data(), width};
}

constexpr int64_t kRowsAtOnce = 64;  // weight rows a thread takes at a time

// fn(row, scratch) for all rows of a weight, in runs.
template <typename Fn>
void forWeightRows(int threads, int64_t rows, const Fn& fn) {
  parallelFor(threads, (rows + kRowsAtOnce - 1) / kRowsAtOnce, [&](int64_t run) {
    const int64_t end = std::min(rows, (run + 1) * kRowsAtOnce);
    for (int64_t row = run * kRowsAtOnce; row < end; ++row) fn(row);
  });
}

}  // namespace

void linear(const Op& op, Step& step) {
  const int64_t tokens = step.rows(op.out);
  if (tokens == 0) return;
  std::vector<float> normed;
  const Rows x = operand(op, step, normed), out = step.at(op.out);
  const Rows residual = op.residual ? step.at(op.residual) : Rows{};
  int64_t column = 0;  // of `out`, where the weight's rows begin
  for (size_t w = 0; w < op.weights.size(); ++w) {
    const int weight = op.weights[w];
    const int biasWeight = op.biases.empty() ? -1 : op.biases[w];
    const std::vector<float> bias = biasWeight < 0 ? std::vector<float>{} : step.vector(biasWeight);
    forWeightRows(step.threads, step.weights[weight].rows, [&](int64_t row) {
      std::vector<float> scratch;
      const float* values = step.linearRows.read(weight, row, scratch);
      for (int64_t t = 0; t < tokens; ++t) {
        float y = dot(x.row(t), values, op.in.width);
        if (!bias.empty()) y += bias[row];
        if (op.residual) y += residual.row(t)[column + row];
        out.row(t)[column + row] = y;
      }
    });
    column += step.weights[weight].rows;
  }
}

void gatedLinear(const Op& op, Step& step) {
  const int64_t tokens = step.rows(op.out);
  if (tokens == 0) return;
  std::vector<float> normed;
  const Rows x = operand(op, step, normed), out = step.at(op.out);
  forWeightRows(step.threads, op.out.width, [&](int64_t row) {
    std::vector<float> gateScratch, upScratch;
    const float* gate = step.linearRows.read(op.weights[0], row, gateScratch);
    const float* up = step.linearRows.read(op.weights[1], row, upScratch);
    for (int64_t t = 0; t < tokens; ++t)
      out.row(t)[row] = activated(op.act, dot(x.row(t), gate, op.in.width), dot(x.row(t), up, op.in.width));
  });
}

}  // namespace mistralrs::reference
