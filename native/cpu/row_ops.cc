#include "cpu/row_ops.h"

#include <cstring>

namespace mistralrs {
namespace {

constexpr int64_t kSerialFloats = 8192;  // about a microsecond, as much as a barrier

bool isElementwise(OpKind kind) {
  return kind == OpKind::kAdd || kind == OpKind::kScale || kind == OpKind::kActMul || kind == OpKind::kSoftcap;
}

}  // namespace

RowOps::RowOps(const Plan& plan, const PreparedWeights& weights, const RopeTables& ropes, int threads)
    : weights_(weights), ropes_(ropes), scratch_(threads) {
  int64_t widest = 0;
  for (const Buffer& buffer : plan.buffers) widest = std::max(widest, buffer.width);
  for (std::vector<float>& row : scratch_) row.resize(static_cast<size_t>(widest));
}

bool RowOps::isSerial(const Op& op, const Step& step) {
  const int64_t rows = step.rows(op.out), floats = rows * op.out.width;
  return floats <= kSerialFloats || (rows == 1 && !isElementwise(op.kind)) || step.threads == 1;
}

void RowOps::run(const Op& op, const Step& step, int thread) {
  const int64_t rows = step.rows(op.out);
  if (isElementwise(op.kind)) {
    const bool serial = isSerial(op, step);
    // Few wide rows (logits) are cut along their columns.
    const bool byColumns = !serial && rows < 4 * step.threads;
    const Range all{0, op.out.width};
    const Range columns = byColumns ? share(op.out.width, thread, step.threads, 16) : all;
    const Range mine = serial || byColumns ? Range{0, rows} : share(rows, thread, step.threads);
    for (int64_t row = mine.begin; row < mine.end; ++row) runElements(op, step, row, columns);
    return;
  }
  const Range mine = isSerial(op, step) ? Range{0, rows} : share(rows, thread, step.threads);
  for (int64_t row = mine.begin; row < mine.end; ++row) runRow(op, step, row, scratch_[thread].data());
}

void RowOps::runElements(const Op& op, const Step& step, int64_t row, Range columns) const {
  const KernelTable& kernels = step.kernels;
  const int64_t count = columns.end - columns.begin;
  if (count <= 0) return;
  const float* in = step.at(op.in).row(row) + columns.begin;
  float* out = step.at(op.out).row(row) + columns.begin;
  switch (op.kind) {
    case OpKind::kAdd: return kernels.addScaled(in, step.at(op.in2).row(row) + columns.begin, op.scale, count, out);
    case OpKind::kScale: return kernels.scale(in, vector(op.weights[0])[0], count, out);
    case OpKind::kActMul:
      return kernels.actMul(in, step.at(op.in2).row(row) + columns.begin, static_cast<int32_t>(op.act), count, out);
    default: return kernels.softcap(in, op.softcap, count, out);
  }
}

void RowOps::runRow(const Op& op, const Step& step, int64_t row, float* scratch) const {
  const KernelTable& kernels = step.kernels;
  const Rows outRows = step.at(op.out);
  float* out = outRows.row(row);
  const int64_t width = op.out.width;
  switch (op.kind) {
    case OpKind::kEmbed:
      weights_.sources[op.weights[0]].readRow(step.batch->tokens[row], out);
      if (op.scale != 1) kernels.scale(out, op.scale, width, out);
      return;
    case OpKind::kSelectRows:
      std::memcpy(out, step.at(op.in).row(step.batch->logitRows[row]), static_cast<size_t>(width) * sizeof(float));
      return;
    case OpKind::kMeanRows: {
      const int sequence = step.sequenceOf[step.batch->logitRows[row]];
      const int begin = step.batch->queryStart[sequence], end = step.batch->queryStart[sequence + 1];
      const Rows in = step.at(op.in);
      std::memcpy(out, in.row(begin), static_cast<size_t>(width) * sizeof(float));
      for (int t = begin + 1; t < end; ++t) kernels.addScaled(out, in.row(t), 1, width, out);
      kernels.scale(out, 1.0f / static_cast<float>(end - begin), width, out);
      return;
    }
    case OpKind::kRmsNorm: {
      const float* in = step.at(op.in).row(row);
      const float* weight = vector(op.norm.weight);
      const float factor = op.scaleWeight < 0 ? 1 : vector(op.scaleWeight)[0];
      const int64_t dim = width / op.heads;
      float* normed = op.residual ? scratch : out;  // out may be the residual
      for (int64_t at = 0; at < width; at += dim) kernels.rmsNorm(in + at, weight, dim, op.norm.eps, op.norm.offset, normed + at);
      if (op.residual) kernels.addScaled(normed, step.at(op.residual).row(row), factor, width, out);
      else if (op.scaleWeight >= 0) kernels.scale(out, factor, width, out);
      return;
    }
    default: {  // rope, norm_rope
      const float* in = step.at(op.in).row(row);
      const int64_t head = width / op.heads, dim = ropes_.dim(op.rope);
      const float *cosines = ropes_.cosines(op.rope, row), *sines = ropes_.sines(op.rope, row);
      for (int64_t at = 0; at < width; at += head) {
        const float* x = in + at;
        if (op.kind == OpKind::kNormRope) {
          kernels.rmsNorm(x, vector(op.norm.weight), head, op.norm.eps, op.norm.offset, out + at);
          x = out + at;
        } else if (head > dim && in != out) {
          std::memcpy(out + at + dim, x + dim, static_cast<size_t>(head - dim) * sizeof(float));
        }
        kernels.rope(x, cosines, sines, dim, out + at);
      }
    }
  }
}

}  // namespace mistralrs
