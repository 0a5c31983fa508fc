#include <cmath>

#include "reference/ops.h"

namespace mistralrs::reference {
namespace {

std::vector<float> normWeight(const Norm& norm, const Step& step) {
  return norm.weight < 0 ? std::vector<float>{} : step.vector(norm.weight);
}
const float* orNull(const std::vector<float>& values) { return values.empty() ? nullptr : values.data(); }

// Rotates pairs (i, i + dim/2) of one head by `position`; columns from dim on are copied. In place allowed.
void rotate(const float* from, int64_t head, const RopeTable& table, int32_t position, float* to) {
  const int half = table.dim / 2;
  for (int i = 0; i < half; ++i) {
    const float angle = static_cast<float>(position) * table.invFreq[i];  // float32: part of the definition
    const double cosine = std::cos(static_cast<double>(angle)) * table.factor, sine = std::sin(static_cast<double>(angle)) * table.factor;
    const double x = from[i], y = from[i + half];
    to[i] = static_cast<float>(x * cosine - y * sine);
    to[i + half] = static_cast<float>(y * cosine + x * sine);
  }
  for (int64_t i = table.dim; i < head; ++i) to[i] = from[i];
}

}  // namespace

void normalize(const float* from, int64_t count, const Norm& norm, const float* weight, float* to) {
  double squares = 0;
  for (int64_t i = 0; i < count; ++i) squares += static_cast<double>(from[i]) * from[i];
  const double inverse = 1 / std::sqrt(squares / static_cast<double>(count) + norm.eps);
  for (int64_t i = 0; i < count; ++i) {
    const double factor = weight ? static_cast<double>(weight[i]) + norm.offset : 1;
    to[i] = static_cast<float>(from[i] * inverse * factor);
  }
}

void rmsNorm(const Op& op, Step& step) {
  const Rows in = step.at(op.in), out = step.at(op.out);
  const Rows residual = op.residual ? step.at(op.residual) : Rows{};
  const std::vector<float> weight = normWeight(op.norm, step);
  const float factor = op.scaleWeight < 0 ? 1 : step.vector(op.scaleWeight)[0];
  const int64_t dim = op.out.width / op.heads;
  std::vector<float> normed(static_cast<size_t>(op.out.width));  // `out` may be the residual
  for (int64_t t = 0; t < step.rows(op.out); ++t) {
    for (int h = 0; h < op.heads; ++h) normalize(in.row(t) + h * dim, dim, op.norm, orNull(weight), normed.data() + h * dim);
    for (int64_t i = 0; i < op.out.width; ++i) {
      const float sum = op.residual ? normed[i] + residual.row(t)[i] : normed[i];
      out.row(t)[i] = sum * factor;
    }
  }
}

void rope(const Op& op, Step& step) {
  const Rows in = step.at(op.in), out = step.at(op.out);
  const int64_t dim = op.out.width / op.heads;
  for (int64_t t = 0; t < step.rows(op.out); ++t)
    for (int h = 0; h < op.heads; ++h)
      rotate(in.row(t) + h * dim, dim, step.plan.ropes[op.rope], step.batch->positions[t], out.row(t) + h * dim);
}

void normRope(const Op& op, Step& step) {
  const Rows in = step.at(op.in), out = step.at(op.out);
  const std::vector<float> weight = normWeight(op.norm, step);
  const int64_t dim = op.out.width / op.heads;
  std::vector<float> normed(static_cast<size_t>(dim));
  for (int64_t t = 0; t < step.rows(op.out); ++t)
    for (int h = 0; h < op.heads; ++h) {
      normalize(in.row(t) + h * dim, dim, op.norm, orNull(weight), normed.data());
      rotate(normed.data(), dim, step.plan.ropes[op.rope], step.batch->positions[t], out.row(t) + h * dim);
    }
}

}  // namespace mistralrs::reference
