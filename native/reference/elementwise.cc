#include <algorithm>
#include <cmath>

#include "reference/ops.h"

namespace mistralrs::reference {

void embed(const Op& op, Step& step) {
  const Rows out = step.at(op.out);
  for (int64_t t = 0; t < step.rows(op.out); ++t) {
    step.weights[op.weights[0]].readRow(step.batch->tokens[t], out.row(t));
    for (int64_t i = 0; i < op.out.width; ++i) out.row(t)[i] *= op.scale;
  }
}

void add(const Op& op, Step& step) {
  const Rows a = step.at(op.in), b = step.at(op.in2), out = step.at(op.out);
  for (int64_t t = 0; t < step.rows(op.out); ++t)
    for (int64_t i = 0; i < op.out.width; ++i)
      out.row(t)[i] = static_cast<float>((static_cast<double>(a.row(t)[i]) + b.row(t)[i]) * op.scale);
}

void scale(const Op& op, Step& step) {
  const Rows in = step.at(op.in), out = step.at(op.out);
  const float factor = step.vector(op.weights[0])[0];
  for (int64_t t = 0; t < step.rows(op.out); ++t)
    for (int64_t i = 0; i < op.out.width; ++i) out.row(t)[i] = in.row(t)[i] * factor;
}

float activated(Act act, float gate, float up) {
  const double x = gate;
  if (act == Act::kSilu) return static_cast<float>(x / (1 + std::exp(-x)) * up);
  // The tanh form of GELU: Hendrycks and Gimpel, arXiv:1606.08415.
  const double inner = std::sqrt(2 / std::acos(-1.0)) * (x + 0.044715 * x * x * x);
  return static_cast<float>(0.5 * x * (1 + std::tanh(inner)) * up);
}

void actMul(const Op& op, Step& step) {
  const Rows gate = step.at(op.in), up = step.at(op.in2), out = step.at(op.out);
  for (int64_t t = 0; t < step.rows(op.out); ++t)
    for (int64_t i = 0; i < op.out.width; ++i) out.row(t)[i] = activated(op.act, gate.row(t)[i], up.row(t)[i]);
}

void softcap(const Op& op, Step& step) {
  const Rows in = step.at(op.in), out = step.at(op.out);
  const double cap = op.softcap;
  for (int64_t t = 0; t < step.rows(op.out); ++t)
    for (int64_t i = 0; i < op.out.width; ++i) out.row(t)[i] = static_cast<float>(cap * std::tanh(in.row(t)[i] / cap));
}

void selectRows(const Op& op, Step& step) {
  const Rows in = step.at(op.in), out = step.at(op.out);
  for (int64_t l = 0; l < step.rows(op.out); ++l) {
    const float* row = in.row(step.batch->logitRows[l]);
    for (int64_t i = 0; i < op.out.width; ++i) out.row(l)[i] = row[i];
  }
}

void meanRows(const Op& op, Step& step) {
  const Rows in = step.at(op.in), out = step.at(op.out);
  const std::vector<int32_t>& starts = step.batch->queryStart;
  for (int64_t l = 0; l < step.rows(op.out); ++l) {
    const auto next = std::upper_bound(starts.begin(), starts.end(), step.batch->logitRows[l]);
    const int begin = *(next - 1), end = *next;
    for (int64_t i = 0; i < op.out.width; ++i) {
      double sum = 0;
      for (int t = begin; t < end; ++t) sum += in.row(t)[i];
      out.row(l)[i] = static_cast<float>(sum / (end - begin));
    }
  }
}

}  // namespace mistralrs::reference
